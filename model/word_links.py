"""The alignment of words that follows from attention: which source word each target word looked at.

Knows: weights, groups of positions that are words. Must not know: text, networks, and does not import torch.
Shapes: T target, S source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class WordLink:
    """A target word and the source word it looked at, by their places in the lists of words; `weight` is the
    share of the target word's attention that the source word has, 0 to 1."""

    target_word: int
    source_word: int
    weight: float


def link_words(
    weights: FloatArray, target_words: Sequence[Sequence[int]], source_words: Sequence[Sequence[int]]
) -> list[WordLink]:
    """For each target word the source word that has most of its attention, in the order of the target.

    `weights` [T, S] is one layer's attention, averaged over its heads; a word is the positions of its tokens.
    A target word's attention is the mean of its tokens' rows, a source word's share the sum over its tokens,
    so that a word of many pieces is not at a disadvantage. `</s>` belongs to no word: what it has is nobody's
    share, and it never wins. Words without tokens are left out; of equal shares the first wins.
    """
    sources = [index for index, tokens in enumerate(source_words) if tokens]
    targets = [index for index, tokens in enumerate(target_words) if tokens]
    if not sources or not targets:
        return []
    rows = np.stack([weights[list(target_words[index])].mean(axis=0) for index in targets])
    shares = np.stack([rows[:, list(source_words[index])].sum(axis=1) for index in sources], axis=1)
    best = shares.argmax(axis=1)  # of equal ones the first
    return [
        WordLink(target, sources[place], float(shares[row, place]))
        for row, (target, place) in enumerate(zip(targets, best.tolist(), strict=True))
    ]
