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
    looked_at, learned = (_directions_of(texts) for texts in (data.dev, data.train))
    for direction in directions:
        if direction not in looked_at:
            bound = f"texts of which one at least is {'-'.join(direction)}"
            raise ConfigError("data.dev", bound, _joined(looked_at))
    for side, verb in enumerate(("from", "into")):
        for code in dict.fromkeys(direction[side] for direction in directions):
            if code not in {direction[side] for direction in learned}:
                bound = f"texts of which one at least is {verb} {code}, as one of directions is"
                raise ConfigError("data.train", bound, _joined(learned))


def _directions_of(texts: Sequence[ParallelText]) -> list[Pair]:
    """Each once, in the order of the recipe."""
    return list(dict.fromkeys(text.direction for text in texts if text.direction is not None))


def _joined(directions: Sequence[Pair]) -> list[str]:
    return ["-".join(direction) for direction in directions]


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
