"""What is wrong with a recipe, in one line: place, bound and value; for an unknown setting what was meant.

Knows: pydantic's faults, and how names resemble each other. Must not know: which settings there are; the
caller tells them, section by section.
"""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

# The names of each section by its place in the recipe, as `data.train`, or `sources.files.*` where each has a
# name of its own; the top level is "".
Known = Mapping[str, Collection[str]]
# Names that are so alike differ by a slip of the hand; those under it may mean something else.
_ALIKE, _SOMEWHAT_ALIKE = 0.8, 0.6
# Where pydantic names classes of Python, what a recipe has there.
_KINDS = {
    "tuple_type": "a list",
    "dict_type": "a section of settings",
    "model_type": "a section of settings",
}


def explain(error: ValidationError, known: Known) -> str:
    """Every fault that pydantic found: place, bound, value; for an unknown setting the nearest known one."""
    problems = [dict(problem) for problem in error.errors()]
    return "; ".join(_explain(problem, known) for problem in problems if not _follows(problem))


def unknown(section: str, name: str, known: Known) -> str:
    """`section.name is not a known setting (did you mean X?)`."""
    place = f"{section}.{name}" if section else name
    return f"{place} is not a known setting{suggestion(section, name, known)}"


def suggestion(section: str, name: str, known: Known) -> str:
    """` (did you mean X?)`, or nothing when no known name is near.

    The same name in another section comes first, then a slip of the hand, then a name that holds all the
    words; the section's own names before those of the others, which are told with their place; last what is
    only somewhat alike.
    """
    meant = name.lower().replace("-", "_")
    own = sorted({*known.get(section, ())} - {name})  # of a section of several kinds another may know it
    everywhere = sorted({one for names in known.values() for one in names})
    near = (
        _with_places([meant] if meant not in own else [], known)
        or difflib.get_close_matches(meant, own, n=1, cutoff=_ALIKE)
        or _of_more_words(meant, own)
        or _with_places(difflib.get_close_matches(meant, everywhere, n=1, cutoff=_ALIKE), known)
        or _with_places(_of_more_words(meant, everywhere), known)
        or difflib.get_close_matches(meant, own, n=1, cutoff=_SOMEWHAT_ALIKE)
    )
    return f" (did you mean {' or '.join(near)}?)" if near else ""


def _of_more_words(name: str, names: Iterable[str]) -> list[str]:
    """`num_encoder_heads` and `num_decoder_heads` for `heads`."""
    words = set(name.split("_"))
    return [one for one in names if words <= set(one.split("_"))]


def _with_places(names: Iterable[str], known: Known) -> list[str]:
    return [f"{section}.{one}".lstrip(".") for one in names for section, own in known.items() if one in own]


def _follows(problem: dict[str, Any]) -> bool:
    """A list counts as too short when its entries have faults of their own: these are enough."""
    return bool(problem["type"] == "too_short" and len(problem["input"]) >= problem["ctx"]["min_length"])


def _explain(problem: dict[str, Any], known: Known) -> str:
    section, place = _place(problem["loc"], known)
    if problem["type"] == "extra_forbidden":
        return f"{place} is not a known setting{suggestion(section, str(problem['loc'][-1]), known)}"
    if problem["type"] == "value_error":  # raised by a check of ours, which names value and bound itself
        return f"{place}: {problem['ctx']['error']}" if place else str(problem["ctx"]["error"])
    if problem["type"] == "missing":
        return f"{place} must be given"
    if problem["type"] == "union_tag_not_found":
        return f"{place}.{problem['ctx']['discriminator'].strip(chr(39))} must be given"
    return f"{place}{_bound(problem)}, got {_shown(problem['input'])}{_hint(problem)}"


def _bound(problem: dict[str, Any]) -> str:
    """Pydantic's words, but for those that speak of Python."""
    if problem["type"] == "too_short":
        return f" must have at least {problem['ctx']['min_length']} item"
    kind = _KINDS.get(problem["type"])
    return f": {problem['msg']}" if kind is None else f" must be {kind}"


def _hint(problem: dict[str, Any]) -> str:
    """YAML reads the language code `no` as false and the version 1 as a number."""
    is_text = problem["type"] in ("string_type", "invalid_key")
    return " (put it in quotes)" if is_text and not isinstance(problem["input"], list | dict) else ""


def _shown(value: object) -> str:
    """The beginning of its `repr`; no more is made: by aliases a few lines may hold billions of values."""
    short = reprlib.Repr()
    short.maxlevel, short.maxstring, short.maxother, short.maxlong = 4, 80, 80, 80
    return short.repr(value)[:80]


def _place(location: Sequence[int | str], known: Known) -> tuple[str, str]:
    """The section, as `data.train`, and the place as a recipe has it, as `data.train.0.tsv`.

    Where a section may be of several kinds pydantic names the kind too, which stands nowhere in a recipe.
    """
    section, path, place = "", "", []
    for part in location[:-1]:
        deeper = f"{path}.{part}".lstrip(".")
        if deeper in known or f"{path}.*" in known:  # the latter where sections have names of the user's
            section = path = deeper if deeper in known else f"{path}.*"
        elif isinstance(part, str) and part not in known[section]:
            continue
        elif isinstance(part, str):
            path = deeper
        place.append(part)
    return section, ".".join(str(part) for part in (*place, *location[-1:]))
