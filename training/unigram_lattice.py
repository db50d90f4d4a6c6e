"""One of all splits of a word that a unigram model allows, by its probability to the power alpha.

Knows: pieces and their log probabilities. Must not know: ids, texts, where chance comes from.

Kudo 2018, "Subword Regularization", section 3.2, of all candidates rather than the l best: a walk back
through the lattice of pieces, whose chances are sums over everything before (forward filtering,
backward sampling).

    ▁ a b     of "b" at the end: from "▁a" or from "▁", "a";  of "ab": from "▁";  of "▁ab": from nothing
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

# SentencePiece's: so much less likely than the rarest piece is a character that is no piece.
_UNKNOWN_PENALTY = 10.0
# Words with a lattice in memory, each some 2 KB; a longer one is seldom seen again.
_MAX_WORDS, _MAX_LENGTH = 20_000, 30


class _Steps(NamedTuple):
    """Where a piece that ends here may begin, and the chance of all `starts` up to each, but for the last."""

    starts: tuple[int, ...]
    chances: tuple[float, ...]


class UnigramLattice:
    """Draws splits of words. `alpha` 1 draws by the model's probabilities, near 0 each split as likely as any
    other, far above 1 the best."""

    def __init__(self, scores: Mapping[str, float], alpha: float) -> None:
        """`scores` of all pieces that text is made of: natural logarithms of their probabilities."""
        self._weights = {piece: alpha * score for piece, score in scores.items()}
        self._unknown = alpha * (min(scores.values(), default=0.0) - _UNKNOWN_PENALTY)
        self._longest = max(map(len, scores), default=1)
        self._remembered = lru_cache(maxsize=_MAX_WORDS)(self._lattice)

    def draw(self, word: str, uniform: Iterator[float]) -> list[str]:
        """Pieces that spell `word`; `uniform` gives numbers from 0 to below 1, one for each piece."""
        lattice = (self._remembered if len(word) <= _MAX_LENGTH else self._lattice)(word)
        pieces, end = list[str](), len(word)
        while end:
            steps = lattice[end]
            start = steps.starts[bisect_right(steps.chances, next(uniform))]
            pieces.append(word[start:end])
            end = start
        return pieces[::-1]

    def _lattice(self, word: str) -> list[_Steps]:
        """The steps back from each position of `word`."""
        totals, lattice = [0.0], [_Steps((), ())]
        for end in range(1, len(word) + 1):
            starts = [s for s in range(max(0, end - self._longest), end) if self._is_step(word, s, end)]
            weights = [totals[s] + self._weights.get(word[s:end], self._unknown) for s in starts]
            best = max(weights)
            shares = list(accumulate(math.exp(weight - best) for weight in weights))
            totals.append(best + math.log(shares[-1]))
            lattice.append(_Steps(tuple(starts), tuple(share / shares[-1] for share in shares[:-1])))
        return lattice

    def _is_step(self, word: str, start: int, end: int) -> bool:
        return end - start == 1 or word[start:end] in self._weights
