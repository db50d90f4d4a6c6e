"""Encoded corpora of given lengths, for tests of plans and batches.

Knows: arrays of ids. Must not know: what a test wants to find out.
"""

from __future__ import annotations

from training.batching import EncodedCorpus
from training.mixing import Mixture
from training.ragged import Ragged

PAD, EOS, START = 0, 3, 2


def corpus_of(lengths: list[tuple[int, int]], mixture: Mixture | None = None) -> EncodedCorpus:
    """Pairs of these lengths, `</s>` included; every token is its pair's number plus 10."""
    source, target = (
        Ragged.from_lists([[number + 10] * (pair[side] - 1) + [EOS] for number, pair in enumerate(lengths)])
        for side in (0, 1)
    )
    return EncodedCorpus(source, target, mixture)
