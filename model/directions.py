"""Which pairs of languages a model translates: listed one by one, or each source into each other target.

Knows: language codes, pairs, their form in JSON. Must not know: what a code means, tokens, files.

A many-to-many model of 200 languages has 40 000 pairs. They are told as two lists, and what asks for one
pair, or for the targets of one source, never walks through all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, overload

from model.config import ConfigError

Pair = tuple[str, str]

_LANGUAGE = re.compile(r"[A-Za-z0-9]+([_-][A-Za-z0-9]+)*")


class Directions(Sequence[Pair]):
    """Pairs (source, target), each once and in a fixed order. Equal to any sequence of the same pairs."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        """Exactly these pairs. Raises ConfigError for none, for one given twice, and for what is no code."""
        pairs = tuple(pairs)
        if not pairs or len(set(pairs)) != len(pairs):
            raise ConfigError("directions", "at least one pair of languages, none twice", pairs)
        _check_codes(code for pair in pairs for code in pair)
        self.sources = tuple(dict.fromkeys(source for source, _ in pairs))
        self.targets = tuple(dict.fromkeys(target for _, target in pairs))
        self._targets_of = {source: tuple(t for s, t in pairs if s == source) for source in self.sources}
        self._listed: tuple[Pair, ...] | None = pairs

    @classmethod
    def product(cls, sources: Sequence[str], targets: Sequence[str]) -> Directions:
        """From each of the sources into each of the targets but itself. Raises ConfigError."""
        for name, codes in (("sources", sources), ("targets", targets)):
            if not codes or len(set(codes)) != len(codes):
                raise ConfigError(f"directions.{name}", "at least one language code, none twice", codes)
            _check_codes(codes)
        if tuple(sources) == tuple(targets) and len(sources) == 1:
            raise ConfigError("directions.targets", f"another language than {sources[0]!r}", targets)
        made = cls.__new__(cls)
        made.sources, made.targets = tuple(sources), tuple(targets)
        made._targets_of, made._listed = {}, None
        return made

    @property
    def is_product(self) -> bool:
        """Whether it is told as two lists."""
        return self._listed is None

    def targets_of(self, source: str) -> tuple[str, ...]:
        """What this source is translated into; nothing for a code that is no source."""
        if self._listed is not None:
            return self._targets_of.get(source, ())
        if source not in self.sources:
            return ()
        return tuple(target for target in self.targets if target != source)

    def to_json(self) -> list[list[str]] | dict[str, list[str]]:
        """`[["en", "de"]]`, or `{"sources": [...], "targets": [...]}`."""
        if self._listed is None:
            return {"sources": list(self.sources), "targets": list(self.targets)}
        return [list(pair) for pair in self._listed]

    @classmethod
    def from_json(cls, value: Any) -> Directions:
        """The inverse of `to_json`. Raises ConfigError."""
        if isinstance(value, dict):
            if set(value) != {"sources", "targets"} or not all(map(_is_list_of_strings, value.values())):
                raise ConfigError("directions", 'pairs, or {"sources": [codes], "targets": [codes]}', value)
            return cls.product(value["sources"], value["targets"])
        if not isinstance(value, list) or not all(
            _is_list_of_strings(pair) and len(pair) == 2 for pair in value
        ):
            raise ConfigError("directions", "a list of pairs such as [['en', 'de']]", value)
        return cls([(source, target) for source, target in value])

    def __iter__(self) -> Iterator[Pair]:
        if self._listed is not None:
            return iter(self._listed)
        return ((source, target) for source in self.sources for target in self.targets if source != target)

    def __len__(self) -> int:
        if self._listed is not None:
            return len(self._listed)
        both = len(set(self.sources) & set(self.targets))
        return len(self.sources) * len(self.targets) - both

    @overload
    def __getitem__(self, index: int) -> Pair: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Pair, ...]: ...
    def __getitem__(self, index: int | slice) -> Pair | tuple[Pair, ...]:
        return tuple(self)[index]

    def __contains__(self, pair: object) -> bool:
        if not isinstance(pair, tuple) or len(pair) != 2:
            return False
        if self._listed is not None:
            return pair[1] in self._targets_of.get(pair[0], ())
        return pair[0] != pair[1] and pair[0] in self.sources and pair[1] in self.targets

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Directions):
            return self.to_json() == other.to_json()
        return isinstance(other, tuple | list) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash((self.sources, self.targets))

    def __repr__(self) -> str:
        return f"Directions({self.to_json()!r})"


def _check_codes(codes: Iterator[object] | Sequence[object]) -> None:
    for code in codes:
        if not isinstance(code, str) or not _LANGUAGE.fullmatch(code):
            raise ConfigError("directions", "pairs of language codes such as 'en' or 'pt-BR'", code)


def _is_list_of_strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(code, str) for code in value)
