"""How many numbers a bundle's weight files hold, as the head of each file says.

Knows: the head of the safetensors format (8 bytes of length, then JSON). Must not know: tensors, and does not
import torch: the process that decides whether there is room for a model never holds one.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

from model.manifest import BundleError, describe

_LENGTH_BYTES = 8
MAX_HEAD_BYTES = 100_000_000  # the format's own bound


def num_stored_weights(folder: Path) -> int:
    """Numbers in all safetensors files of a folder. Raises BundleError."""
    return sum(map(_num_in, sorted(folder.glob("*.safetensors"))))


def _num_in(path: Path) -> int:
    try:
        shapes = [entry["shape"] for name, entry in _head(path).items() if name != "__metadata__"]
        return sum(map(math.prod, shapes))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(path, "not a safetensors file: its head cannot be read") from error


def _head(path: Path) -> dict[str, dict[str, list[int]]]:
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            if length > MAX_HEAD_BYTES:
                raise BundleError(path, f"not a safetensors file: its head would have {length} bytes")
            head: dict[str, dict[str, list[int]]] = json.loads(file.read(length))
    except OSError as error:
        raise BundleError(path, describe(error)) from error
    return head
