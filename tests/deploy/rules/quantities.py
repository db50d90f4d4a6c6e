"""Kubernetes' quantities ("500m", "2Gi"): what parses, and how much it is.

Source of the grammar: Kubernetes, API conventions, resource quantities.
"""

import re
from collections.abc import Iterator
from typing import Any

from tests.deploy.manifests import title
from tests.deploy.rendering import Manifest

_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_QUANTITY = re.compile(r"[+-]?(\d+(?:\.\d*)?|\.\d+)(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?\d+)?")


def amount(quantity: object) -> float:
    """The number that a quantity stands for. Raises ValueError for what is none."""
    match = _QUANTITY.fullmatch(str(quantity))
    if not match:
        raise ValueError(f"{quantity!r} is no quantity")
    number, suffix = float(match[1]), match[2] or ""
    if suffix in _BINARY:
        return number * float(2 ** _BINARY[suffix])
    if suffix in _DECIMAL:
        return number * 10.0 ** _DECIMAL[suffix]
    return number * 10.0 ** int(suffix[1:])


def quantities_parse(objects: list[Manifest]) -> Iterator[str]:
    """Wherever Kubernetes expects a quantity there is one."""
    for thing in objects:
        for path, value in _quantities(thing):
            try:
                amount(value)
            except ValueError as error:
                yield f"{title(thing)}: {path}: {error}"


def _quantities(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Those under `requests` and `limits` and those of the fields that hold one, each with its path."""
    if isinstance(value, list):
        for position, one in enumerate(value):
            yield from _quantities(one, f"{path}[{position}]")
    elif isinstance(value, dict):
        for key, one in value.items():
            here = f"{path}.{key}".lstrip(".")
            if key in ("requests", "limits") and isinstance(one, dict):
                yield from ((f"{here}.{name}", quantity) for name, quantity in one.items())
            elif key in ("sizeLimit", "averageValue"):
                yield here, one
            else:
                yield from _quantities(one, here)
