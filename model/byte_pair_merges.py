"""Byte-pair encoding of one word at a time, as Sennrich et al. 2016 define it: the earliest merge first.

Knows: merges in order, the mark `</w>` of a word's end. Must not know: ids, texts, how words are found.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from functools import lru_cache

END_OF_WORD = "</w>"
_NEVER = 1 << 60


class BytePairMerges:
    """Splits words into pieces, the last of which ends with `</w>`. Immutable, threads may share it."""

    def __init__(self, merges: Iterable[tuple[str, str]]) -> None:
        """In order of their learning: the first is the most frequent pair."""
        self._ranks = {pair: rank for rank, pair in enumerate(merges)}
        self.split = lru_cache(maxsize=50_000)(self._split)

    def _split(self, word: str) -> tuple[str, ...]:
        pieces = [*word[:-1], word[-1] + END_OF_WORD]
        while len(pieces) > 1:
            pairs = list(itertools.pairwise(pieces))
            best = min(pairs, key=lambda pair: self._ranks.get(pair, _NEVER))
            if best not in self._ranks:
                break
            pieces = _merged(pieces, best)
        return tuple(pieces)


def _merged(pieces: list[str], pair: tuple[str, str]) -> list[str]:
    """Every occurrence of the pair as one piece, from the left, none overlapping."""
    result, index = list[str](), 0
    while index < len(pieces):
        width = 2 if tuple(pieces[index : index + 2]) == pair else 1
        result.append("".join(pieces[index : index + width]))
        index += width
    return result
