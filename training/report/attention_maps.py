"""Attention of a translated sentence, and which sentences are worth a look.

Knows: tokens, numbers. Must not know: models, pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# A map is drawn in cells: one that is longer is no picture any more.
FEWEST_WORDS, MOST_CHARACTERS = 3, 110


@dataclass(frozen=True, slots=True)
class AttentionMap:
    """Cross-attention: `values` [L layers, H heads, T target, S source], the share of a target token's look
    that fell on a source token. `layer` is the one that aligns words best, from 0."""

    source_tokens: Sequence[str]
    target_tokens: Sequence[str]
    values: Sequence[Sequence[Sequence[Sequence[float]]]]
    layer: int

    def mean_of_heads(self) -> list[list[float]]:
        """[T, S] of the aligning layer."""
        heads = self.values[self.layer]
        return [
            [sum(column) / len(heads) for column in zip(*rows, strict=True)]
            for rows in zip(*heads, strict=True)
        ]


def choose_pictured(sources: Sequence[str], scores: Sequence[float], count: int) -> list[int]:
    """Up to `count` sentences that fit into a picture, spread evenly from a bad to a good translation.

    `scores` are those of the translations; the same sentence is not taken twice.
    """
    first = {text: index for index, text in reversed(list(enumerate(sources)))}
    fitting = [index for text, index in first.items() if _fits(text)]
    ranked = sorted(fitting, key=lambda index: (scores[index], index))
    if count >= len(ranked):
        return ranked
    # In the middle of each of `count` equal parts: neither the very worst nor a copied name.
    return [ranked[(2 * part + 1) * len(ranked) // (2 * count)] for part in range(count)]


def _fits(text: str) -> bool:
    if not any(map(str.isalpha, text)):
        return False  # blank, or of digits and marks alone: it goes by the model, and there is nothing to see
    is_spaced = " " in text.strip()
    return len(text) <= MOST_CHARACTERS and (len(text.split()) >= FEWEST_WORDS or not is_spaced)
