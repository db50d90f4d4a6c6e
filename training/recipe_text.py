"""A recipe file as plain values, and settings put in from outside.

Knows: YAML and its traps, overrides such as `optimizer.warmup_steps=500`. Must not know: which settings there
are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from training.errors import RecipeError

# What PyYAML raises, apart from errors of its own, for what looks like a date or a number and is none.
_NO_VALUE = (ValueError, ArithmeticError, LookupError, AttributeError)
# PyYAML calls itself for each level, and Python ends that somewhere behind the hundredth.
_TOO_DEEP = "brackets or sections stand in each other too deeply; a recipe needs six levels"


class _Loader(yaml.SafeLoader):
    """YAML as people expect it: `1e-3` is a number, and a setting that stands twice is a fault."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except _NO_VALUE as error:  # 2026-02-30, 0b_
            problem = f"{node.value} is taken for a date or a number, and is none ({error})"
            advice = f"{problem}; put text in quotes"
            raise yaml.constructor.ConstructorError(None, None, advice, node.start_mark) from error

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        """JSON, which is YAML too, has two halves for a character such as an emoji; PyYAML leaves them so,
        and no file can hold one, as the bundle's would have to hours later."""
        text = super().construct_scalar(node)
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError as error:
            half = next(one for one in text if "\ud800" <= one < "\ue000")
            problem = f"U+{ord(half):04X} is half a character"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set[str]()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                problem = f"{key.value} stands twice in one section"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


# YAML 1.1, which PyYAML follows, asks for a point and a sign in the exponent; YAML 1.2 does not.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def read_recipe(path: Path) -> dict[str, Any]:
    """The settings of a YAML file. Raises `RecipeError` naming the file."""
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise RecipeError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not a YAML file ({' '.join(str(error).split())})") from error
    except RecursionError as error:
        raise RecipeError(f"{path}: {_TOO_DEEP}") from error
    if not isinstance(data, dict):
        raise RecipeError(f"{path}: a recipe is a mapping of settings, got {type(data).__name__}")
    return data


def as_yaml(settings: dict[str, Any]) -> str:
    """The text of a recipe with these settings; `read_recipe` gives them back."""
    return yaml.safe_dump(settings, sort_keys=False, allow_unicode=True, width=110)


def override(data: dict[str, Any], settings: Iterable[str]) -> dict[str, Any]:
    """A copy with each `section.name=value` put in; values are YAML, entries of lists go by their number.

    Raises `RecipeError` naming the setting.
    """
    changed = dict(data)
    for setting in settings:
        place, equals, text = setting.partition("=")
        place = place.strip()
        if not equals or not all(place.split(".")):
            raise RecipeError(f"an override is SETTING=VALUE, got {setting!r}")
        changed = _put(changed, place, place, _parse(place, text))
    return changed


def _parse(place: str, text: str) -> Any:
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        why = f" ({error.problem})" if isinstance(error, yaml.MarkedYAMLError) else ""
        raise RecipeError(f"{place}: not a YAML value: {text!r:.80}{why:.200}") from error
    except RecursionError as error:
        raise RecipeError(f"{place}: {_TOO_DEEP}") from error


def _put(data: Any, rest: str, place: str, value: Any) -> Any:
    """A copy of nested mappings and lists with the value at `rest` of `place` replaced."""
    if not rest:
        return value
    name, _, rest_of_it = rest.partition(".")
    if isinstance(data, list):
        index = _index(data, name, rest, place)
        return [*data[:index], _put(data[index], rest_of_it, place, value), *data[index + 1 :]]
    if data is not None and not isinstance(data, dict):
        raise RecipeError(f"{place}: {_before(rest, place)} is no section, but {data!r:.80}")
    section = data or {}
    return {**section, name: _put(section.get(name), rest_of_it, place, value)}


def _index(entries: list[Any], name: str, rest: str, place: str) -> int:
    if not name.isdecimal() or int(name) >= len(entries):
        held = f"a list of {len(entries)}, numbered from 0"
        raise RecipeError(f"{place}: {_before(rest, place)} is {held}; got {name!r}")
    return int(name)


def _before(rest: str, place: str) -> str:
    return place.removesuffix(rest).rstrip(".")
