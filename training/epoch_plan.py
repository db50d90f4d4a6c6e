"""Which pairs make up each batch of an epoch, decided by seed and epoch alone.

Knows: lengths, corpora and their shares, a token budget, shuffling. Must not know: tokens, tensors, text.
Costs 4 bytes of memory a pair and 16 a batch: nothing here is a Python object per pair or per batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from training.mixing import Mixture
from training.ragged import Ragged, slices

Rows = NDArray[np.uint32]


class Lengths(Protocol):
    """What is planned: the lengths of both sides of each pair."""

    @property
    def source(self) -> Ragged: ...
    @property
    def target(self) -> Ragged: ...
    @property
    def mixture(self) -> Mixture | None: ...
    def __len__(self) -> int: ...


@dataclass(frozen=True)
class EpochPlan(Sequence[Rows]):
    """The pair indices of every batch: `order` cut at `ends`, batches in the order `batches`."""

    order: Rows  # pairs, sorted by length within pools
    ends: NDArray[np.int64]  # of each batch in `order`; it begins where the batch before ends
    batches: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.batches)

    @overload
    def __getitem__(self, index: int) -> Rows: ...
    @overload
    def __getitem__(self, index: slice) -> EpochPlan: ...
    def __getitem__(self, index: int | slice) -> Rows | EpochPlan:
        if isinstance(index, slice):
            return EpochPlan(self.order, self.ends, self.batches[index])
        batch = int(self.batches[index])
        return self.order[self.ends[batch - 1] if batch else 0 : self.ends[batch]]

    def __iter__(self) -> Iterator[Rows]:
        return (self[index] for index in range(len(self)))


def plan_epoch(corpus: Lengths, max_tokens: int, pool_batches: int, seed: int, epoch: int) -> EpochPlan:
    """Every batch of one epoch; the same for the same seed and epoch.

    Pairs are shuffled, sorted by length within pools (so that padding is small yet neighbours vary), cut so
    that pairs x longest side stays within `max_tokens` (one pair longer than that stands alone), and the
    batches are shuffled again. A saved run counts batches of this order, so it must never change.
    """
    random = np.random.default_rng((seed, epoch))
    order = _shuffled_rows(corpus, random)
    pool_size = max(1, int(pool_batches * max_tokens / max(1.0, _mean_longest(corpus))))
    ends = [
        start + _sort_and_cut(corpus, order[start : start + pool_size], max_tokens)
        for start in range(0, len(order), pool_size)
    ]
    all_ends = np.concatenate(ends) if ends else np.empty(0, np.int64)
    return EpochPlan(order, all_ends, random.permutation(len(all_ends)))


def _shuffled_rows(corpus: Lengths, random: np.random.Generator) -> Rows:
    if corpus.mixture is not None:
        return corpus.mixture.draw(random)
    order = np.arange(len(corpus), dtype=np.uint32)
    random.shuffle(order)
    return order


def _longest(corpus: Lengths, rows: NDArray[Any]) -> NDArray[np.int64]:
    return np.maximum(corpus.source.lengths_of(rows), corpus.target.lengths_of(rows))


def _mean_longest(corpus: Lengths) -> float:
    """Exact, since the sum is one of whole numbers; a slice at a time."""
    total = 0
    for part in slices(len(corpus)):
        total += int(_longest(corpus, np.arange(part.start, part.stop)).sum())
    return total / max(1, len(corpus))


def _sort_and_cut(corpus: Lengths, pool: Rows, max_tokens: int) -> NDArray[np.int64]:
    """Sort a pool in place; where its batches end."""
    source, longest = corpus.source.lengths_of(pool), _longest(corpus, pool)
    by_length = np.lexsort((source, longest))
    pool[:] = pool[by_length]
    return _cut(longest[by_length], max_tokens)


def _cut(longest: NDArray[np.int64], max_tokens: int) -> NDArray[np.int64]:
    """The ends of consecutive runs, of lengths that rise, whose padded size fits the budget."""
    ends, start = list[int](), 0
    for index, length in enumerate(longest.tolist()):
        if index > start and length * (index + 1 - start) > max_tokens:
            ends.append(index)
            start = index
    return np.asarray([*ends, len(longest)], dtype=np.int64)
