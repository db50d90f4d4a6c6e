"""How well two networks do by the length of the sentence.

Knows: translations, lengths in words, scores. Must not know: networks, pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from training.corpus import Pair
from training.evaluation import score

TOY_BOUNDS = (3, 6, 9, 12, 15, 18, 21, 24)  # a bucket begins behind one and ends with the next
CAPTION_BOUNDS = (0, 8, 10, 12, 14, 17, 1000)


def by_length(
    pairs: Sequence[Pair], hypotheses: Sequence[str], bounds: Sequence[int]
) -> list[dict[str, Any]]:
    """A line for each bucket that holds a sentence; the first bound belongs to the first bucket."""
    lines = []
    for low, high in pairwise(bounds):
        least = low if low == bounds[0] else low + 1
        chosen = [i for i, pair in enumerate(pairs) if least <= len(pair.source.split()) <= high]
        if chosen:
            lines.append(_line(least, high, [pairs[i] for i in chosen], [hypotheses[i] for i in chosen]))
    return lines


def _line(least: int, most: int, pairs: Sequence[Pair], hypotheses: Sequence[str]) -> dict[str, Any]:
    words = [len(pair.source.split()) for pair in pairs]
    return {
        "words": [least, min(most, max(words))],
        "mean_words": sum(words) / len(words),
        "sentences": len(pairs),
        "bleu": score(hypotheses, [pair.target for pair in pairs]).bleu,
        "right_share": sum(a == b.target for a, b in zip(hypotheses, pairs, strict=True)) / len(pairs),
    }
