"""A recipe file as plain values, and what is wrong with it in one line.

Knows: YAML and its traps, overrides such as `optimizer.warmup_steps=500`, the wording of faults. Must not
know: which settings there are.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from training.errors import RecipeError


class _Loader(yaml.SafeLoader):
    """YAML as people expect it: `1e-3` is a number, and a setting that stands twice is a fault."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value]
        for name in names:
            if names.count(name) > 1:
                problem = f"{name} stands twice in one section"
                raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
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
    if not isinstance(data, dict):
        raise RecipeError(f"{path}: a recipe is a mapping of settings, got {type(data).__name__}")
    return data


def as_yaml(settings: dict[str, Any]) -> str:
    """The text of a recipe with these settings; `read_recipe` gives them back."""
    return yaml.safe_dump(settings, sort_keys=False, allow_unicode=True, width=110)


def override(data: dict[str, Any], settings: Iterable[str]) -> dict[str, Any]:
    """A copy with each `section.name=value` put in; values are YAML. Raises `RecipeError`."""
    changed = dict(data)
    for setting in settings:
        place, equals, text = setting.partition("=")
        if not equals or not place.strip():
            raise RecipeError(f"an override is SETTING=VALUE, got {setting!r}")
        changed = _put(changed, place.strip().split("."), _parse(place, text))
    return changed


def _parse(place: str, text: str) -> Any:
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise RecipeError(f"{place}: not a YAML value: {text!r}") from error


def _put(data: dict[str, Any], place: Sequence[str], value: Any) -> dict[str, Any]:
    """A copy of nested mappings with one value replaced."""
    name, *rest = place
    if not rest:
        return {**data, name: value}
    inner = data.get(name)
    return {**data, name: _put(inner if isinstance(inner, dict) else {}, rest, value)}


def explain(error: ValidationError, known: Iterable[str]) -> str:
    """Every fault that pydantic found: place, bound, value; for an unknown setting the nearest known one."""
    names = list(known)
    return "; ".join(_explain(dict(problem), names) for problem in error.errors())


def _explain(problem: dict[str, Any], known: Sequence[str]) -> str:
    place = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"{place} is not a known setting{nearest(str(problem['loc'][-1]), known)}"
    if problem["type"] == "value_error":  # raised by a check of ours, which names value and bound itself
        return f"{place}: {problem['ctx']['error']}" if place else str(problem["ctx"]["error"])
    if problem["type"] == "missing":
        return f"{place} must be given"
    # YAML reads the language code `no` as false and the version 1 as a number.
    hint = " (put it in quotes)" if problem["type"] == "string_type" else ""
    return f"{place}: {problem['msg']}, got {problem['input']!r:.80}{hint}"


def nearest(name: str, known: Iterable[str]) -> str:
    """` (did you mean X?)`, or nothing when no known name is near."""
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""
