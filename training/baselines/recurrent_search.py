"""The recurrent network as searches ask for it, so that it is translated with exactly as the Transformer is.

Knows: rows and segments, and the network's states of them. Must not know: strategies, text, training.
Unlike a server's networks, what it answers for a row may differ in its last bits with the rows beside it.
Shapes: R rows, G segments, S source, T target, N hidden width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from model.config import ModelConfig
from model.kv_cache import CacheOverflow
from model.masks import pad_batch
from model.network import Cache
from model.step_scores import DenseScores
from model.transformer import next_log_probs
from training.baselines.recurrent import Memory, RecurrentNetwork


class RecurrentCache:
    """States [R, N] of rows, the memory of their segments [G, ...], and how far each segment has come."""

    def __init__(self, memory: Memory, rows_per_segment: Sequence[int], capacity: Sequence[int]) -> None:
        if not len(memory.mask) == len(rows_per_segment) == len(capacity):
            raise ValueError(f"{len(memory.mask)} segments need as many row counts and capacities")
        counts = torch.tensor(rows_per_segment)
        self.memory = memory
        self.segment_of_row = torch.repeat_interleave(torch.arange(len(counts)), counts)
        self.state = memory.first[self.segment_of_row]
        self.left = torch.tensor(capacity)  # positions of each segment that are still free

    @property
    def num_rows(self) -> int:
        return len(self.segment_of_row)

    @property
    def num_segments(self) -> int:
        return len(self.left)

    @property
    def num_bytes(self) -> int:
        return sum(part.nbytes for part in (self.state, self.memory.states, self.memory.keys))

    def use_position(self) -> None:
        """One position less for every segment. Raises `CacheOverflow`."""
        if self.num_segments and int(self.left.min()) < 1:
            raise CacheOverflow("a segment's capacity is used up")
        self.left = self.left - 1

    def reorder(self, parents: Tensor) -> None:
        if not torch.equal(self.segment_of_row[parents], self.segment_of_row):
            raise ValueError("a row continues a row of its own segment")
        self.state = self.state[parents]

    def keep(self, segments: Tensor) -> None:
        stays = segments[self.segment_of_row]
        numbers = torch.cumsum(segments, 0) - 1
        self.segment_of_row = numbers[self.segment_of_row[stays]]
        self.state, self.left = self.state[stays], self.left[segments]
        self.memory = self.memory.of_rows(segments.nonzero()[:, 0])

    def join(self, other: RecurrentCache) -> None:
        self.segment_of_row = torch.cat((self.segment_of_row, other.segment_of_row + self.num_segments))
        self.state, self.left = torch.cat((self.state, other.state)), torch.cat((self.left, other.left))
        self.memory = _joined(self.memory, other.memory)


def _joined(one: Memory, other: Memory) -> Memory:
    """Both sources, the shorter padded."""
    length = max(one.mask.shape[1], other.mask.shape[1])
    wide = [
        torch.cat([F.pad(part, (0, 0, 0, length - part.shape[1])) for part in parts])
        for parts in ((one.states, other.states), (one.keys, other.keys))
    ]
    masks = [F.pad(mask, (0, length - mask.shape[1])) for mask in (one.mask, other.mask)]
    return Memory(wide[0], wide[1], torch.cat(masks), torch.cat((one.first, other.first)))


class RecurrentSearchNetwork:
    """`model.network.Network` of a trained recurrent network, which is in eval mode."""

    path = "eager"

    def __init__(self, network: RecurrentNetwork) -> None:
        self.network = network
        self.device = network.output.weight.device
        self.precision = str(network.output.weight.dtype).removeprefix("torch.")

    @property
    def config(self) -> ModelConfig:
        return self.network.config

    @property
    def bytes_per_position(self) -> int:
        """None: a state stays as large as it is, however long the target."""
        return 0

    def open(
        self, source_ids: Sequence[Sequence[int]], rows_per_segment: Sequence[int], capacity: Sequence[int]
    ) -> RecurrentCache:
        ids, mask = pad_batch(source_ids, self.config.pad_id)
        memory = self.network.encode(ids.to(self.device), mask.to(self.device))
        return RecurrentCache(memory, rows_per_segment, capacity)

    def step(self, token_ids: Tensor, cache: Cache, *, watch: bool = False) -> DenseScores:
        own = cast(RecurrentCache, cache)  # `open` made it
        if len(token_ids) != own.num_rows:
            raise ValueError(f"{len(token_ids)} tokens for {own.num_rows} rows")
        own.use_position()
        memory = own.memory.of_rows(own.segment_of_row)
        logits, own.state, weights = self.network.decode_step(token_ids.to(self.device), own.state, memory)
        return DenseScores(next_log_probs(logits), weights if watch else None)

    def cross_attention(self, source_ids: Sequence[int], target_ids: Sequence[int]) -> Tensor:
        """[1, 1, T, S]: it has one layer and one head."""
        source, mask = pad_batch([source_ids], self.config.pad_id)
        target = torch.tensor([[self.config.decoder_start_id, *target_ids[:-1]]])
        memory = self.network.encode(source.to(self.device), mask.to(self.device))
        return self.network.decode(target.to(self.device), memory)[1][:, None].float().cpu()
