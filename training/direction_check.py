"""Whether the texts of a recipe fit its directions: each says which is its own, and none is without texts.

Knows: directions, texts' settings. Must not know: files, vocabularies, networks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from model.config import ConfigError
from model.directions import Pair
from training.data_config import DataConfig, HeldOutText, ParallelText


def check_directions(directions: Sequence[Pair], data: DataConfig, tests: Sequence[HeldOutText]) -> None:
    """Raises `ConfigError` naming the text or the setting, its bound and its value."""
    for place, text in _places(data, tests):
        _check_text(directions, place, text)
    if len(directions) > 1:
        _check_all_are_there(directions, data)
    _check_scripts(directions, data)


def _places(data: DataConfig, tests: Sequence[HeldOutText]) -> Iterator[tuple[str, ParallelText]]:
    for section, texts in (("data.train", data.train), ("data.dev", data.dev), ("test", tests)):
        yield from ((f"{section}.{number}", text) for number, text in enumerate(texts))


def _check_text(directions: Sequence[Pair], place: str, text: ParallelText) -> None:
    if text.direction in directions or (text.direction is None and len(directions) == 1):
        return
    value = "none" if text.direction is None else list(text.direction)
    raise ConfigError(f"{place}.direction", f"one of directions {_listed(directions)}", value)


def _check_all_are_there(directions: Sequence[Pair], data: DataConfig) -> None:
    """A direction may have no training text (Johnson et al. 2017, section 4.6 "Zero-Shot Translation"), but
    not a language that it reads or writes; and what it is worth must be seen."""
    looked_at = {text.direction for text in data.dev}
    for direction in directions:
        if direction not in looked_at:
            raise ConfigError("data.dev", "texts of each of directions", f"none of {list(direction)}")
    for side, verb in enumerate(("from", "into")):
        learned = {text.direction[side] for text in data.train if text.direction is not None}
        for code in dict.fromkeys(direction[side] for direction in directions):
            if code not in learned:
                bound = f"texts of each language of directions, on the side that it has there; {verb} {code}"
                raise ConfigError("data.train", bound, "none")


def _check_scripts(directions: Sequence[Pair], data: DataConfig) -> None:
    if data.scripts is None:
        return
    if isinstance(data.scripts, tuple):
        if len(directions) > 1:
            bound = "the script of each language, such as {en: Latin}, with several directions"
            raise ConfigError("data.scripts", bound, list(data.scripts))
        return
    languages = dict.fromkeys(code for direction in directions for code in direction)
    if set(languages) != set(data.scripts):
        bound = f"given for each language of directions ({', '.join(languages)}) and no other"
        raise ConfigError("data.scripts", bound, sorted(data.scripts))


def _listed(directions: Sequence[Pair]) -> str:
    return ", ".join(f"[{source}, {target}]" for source, target in directions)
