"""Encoded pairs to batches of similar length under a token budget, ordered by seed and epoch.

Knows: lengths, budgets, shuffling, the tensors a training step takes. Must not know: text, weights.
Shapes: B pairs, S source, T target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class RaggedIds:
    """Many id lists in two flat arrays: `ids`, and `offsets` (one more than lists)."""

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]

    @classmethod
    def from_lists(cls, lists: Sequence[Sequence[int]]) -> RaggedIds:
        lengths = np.fromiter((len(one) for one in lists), dtype=np.int64, count=len(lists))
        ids = np.fromiter((i for one in lists for i in one), dtype=np.int32, count=int(lengths.sum()))
        return cls(ids, np.concatenate(([0], np.cumsum(lengths))))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> NDArray[np.int32]:
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.offsets)


@dataclass(frozen=True)
class EncodedCorpus:
    """Pairs as ids, each side ending with `</s>`."""

    source: RaggedIds
    target: RaggedIds

    def __len__(self) -> int:
        return len(self.source)


@dataclass(frozen=True)
class Batch:
    """What one step learns from: `target_input` is `target_output` behind the start token, less its end."""

    source_ids: Tensor  # [B, S]
    source_mask: Tensor  # [B, S], True: a real token
    target_input: Tensor  # [B, T]
    target_output: Tensor  # [B, T], padding where there is nothing to learn
    num_target_tokens: int

    def to(self, device: torch.device) -> Batch:
        return Batch(
            source_ids=self.source_ids.to(device),
            source_mask=self.source_mask.to(device),
            target_input=self.target_input.to(device),
            target_output=self.target_output.to(device),
            num_target_tokens=self.num_target_tokens,
        )


def plan_epoch(
    corpus: EncodedCorpus, max_tokens: int, pool_batches: int, seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    """The pair indices of every batch of one epoch; the same for the same seed and epoch.

    Pairs are shuffled, sorted by length within pools (so that padding is small yet neighbours vary), cut so
    that pairs x longest side stays within `max_tokens` (one pair longer than that stands alone), and the
    batches are shuffled again. A saved run counts batches of this order, so it must never change.
    """
    random = np.random.default_rng((seed, epoch))
    longest = np.maximum(corpus.source.lengths, corpus.target.lengths)
    order = random.permutation(len(corpus))
    pool_size = max(1, int(pool_batches * max_tokens / max(1.0, float(longest.mean()))))
    batches: list[NDArray[np.int64]] = []
    for start in range(0, len(order), pool_size):
        pool = order[start : start + pool_size]
        pool = pool[np.lexsort((corpus.source.lengths[pool], longest[pool]))]
        batches.extend(_cut(pool, longest[pool], max_tokens))
    return [batches[i] for i in random.permutation(len(batches))]


def _cut(pool: NDArray[np.int64], longest: NDArray[np.int64], max_tokens: int) -> list[NDArray[np.int64]]:
    """Consecutive runs of a sorted pool whose padded size fits the budget."""
    batches, start = [], 0
    for end in range(1, len(pool) + 1):
        if end == len(pool) or longest[end] * (end + 1 - start) > max_tokens:
            batches.append(pool[start:end])
            start = end
    return batches


def make_batch(
    corpus: EncodedCorpus, indices: NDArray[np.int64], pad_id: int, decoder_start_id: int
) -> Batch:
    """Padded tensors of the chosen pairs; the input is the output shifted right behind the start token."""
    source, source_lengths = _padded(corpus.source, indices, pad_id)
    target, target_lengths = _padded(corpus.target, indices, pad_id)
    start = torch.full((len(indices), 1), decoder_start_id)
    mask = torch.arange(source.shape[1])[None, :] < source_lengths[:, None]
    shifted = torch.cat((start, target[:, :-1]), 1)
    return Batch(source, mask, shifted, target, int(target_lengths.sum()))


def _padded(ragged: RaggedIds, indices: NDArray[np.int64], pad_id: int) -> tuple[Tensor, Tensor]:
    lists = [ragged[int(i)] for i in indices]
    out = np.full((len(lists), max(len(one) for one in lists)), pad_id, dtype=np.int64)
    for row, one in enumerate(lists):
        out[row, : len(one)] = one
    return torch.from_numpy(out), torch.tensor([len(one) for one in lists])
