"""Pairs that other pairs of their corpus make longer: of short sentences alone, no model learns long text.

Knows: pairs in the order of a corpus, a share, a random number generator. Must not know: files, tokens.

A model that was trained on short sentences ends long ones too early. Two sentences behind each other are a
longer text whose translation is known: Nguyen et al. 2021, "Data Augmentation by Concatenation for Low-
Resource Translation" (arXiv 2105.01691). They found that other words around and other lengths help, not what
the sentences have to do with each other: any will do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np

from training.corpus import Pair

FINAL_STOPS = ".!?…。"
MAX_OTHER_PAIRS = 3
# A longer one would not fit the usual limit of tokens, and be lost with all that it is made of.
MAX_JOINED_CHARACTERS = 240
_REMEMBERED = 1000  # pairs of a corpus to choose from: those that were last read

_NO_SPACE_BEHIND = "。"


class Joiner:
    """Passes pairs on, a share of them with up to three earlier ones behind them, as `random` has it."""

    def __init__(self, share: float, random: np.random.Generator) -> None:
        self._share, self._random = share, random
        self.count = 0

    def joined(self, pairs: Iterable[Pair]) -> Iterator[Pair]:
        """As many as `pairs`, which are all of one direction."""
        earlier = deque[Pair](maxlen=_REMEMBERED)
        for pair in pairs:
            if _is_whole(pair):
                yield self._maybe_longer(pair, earlier)
                earlier.append(pair)
            else:
                yield pair

    def _maybe_longer(self, pair: Pair, earlier: deque[Pair]) -> Pair:
        if self._random.random() >= self._share or not earlier:
            return pair
        longer = pair
        for _ in range(self._random.integers(1, MAX_OTHER_PAIRS + 1)):
            other = earlier[self._random.integers(len(earlier))]
            both = Pair(*(f"{a}{_space(a)}{b}" for a, b in zip(longer, other, strict=True)))
            longer = both if max(map(len, both)) <= MAX_JOINED_CHARACTERS else longer
        self.count += longer != pair
        return longer


def _is_whole(pair: Pair) -> bool:
    """Both sides end as sentences do: what follows is read as another one."""
    return all(text.endswith(tuple(FINAL_STOPS)) for text in pair)


def _space(text: str) -> str:
    return "" if text.endswith(_NO_SPACE_BEHIND) else " "
