"""What a decoder remembers between steps: keys and values, its own by row, the source's by segment.

Knows: which rows belong to which segment, how far each has come, where its keys and values lie. Must not
know: weights, tokens, strategies. `append`, `advance`, `reorder`, `keep` and `join` are the only ways to
change it.
Shapes: L layers, R rows, G segments, H heads, C capacity, S source, K head width, W rows of the widest
segment.

    segment      0       0       0       1            rows of a segment stand together, and beams of one
    row          0       1       2       3            segment read one copy of its source: they are W
    slot         0       1       2       0            query positions of one attention
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.attention import KEY_TILE, attention, attention_weights
from model.masks import attend_to_source, filled_mask

BLOCK = KEY_TILE  # positions that memory grows by, and that attention reads together


class CacheOverflow(RuntimeError):
    """A row was asked to remember more positions than were reserved for it."""


@dataclass(frozen=True, slots=True)
class Source:
    """The encoded side, computed once per segment: `keys`, `values` [L, G, H, S, K] and `mask` [G, S].

    Real tokens stand first, padding last, as `pad_batch` lays them. S is a multiple of `BLOCK` where
    `in_blocks` made it so; every other S is right too, and costs attention a copy at each step.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor

    def keep(self, segments: Tensor) -> Source:
        """Only the segments where `segments` [G] is True, cut to the longest source that is left."""
        mask, kept = self.mask[segments], segments.nonzero()[:, 0]
        longest = whole_blocks(int(mask.sum(1).max()) if len(mask) else 0)
        keys, values = _rows(self.keys[:, :, :, :longest], kept), _rows(self.values[:, :, :, :longest], kept)
        return Source(keys, values, mask[:, :longest])

    def join(self, other: Source) -> Source:
        """These segments, then the other's; the shorter sources are padded and masked."""
        longest = max(self.mask.shape[1], other.mask.shape[1])
        a, b = self._padded(longest), other._padded(longest)
        keys, values = torch.cat((a.keys, b.keys), 1), torch.cat((a.values, b.values), 1)
        return Source(keys, values, torch.cat((a.mask, b.mask)))

    def in_blocks(self) -> Source:
        """The same, as long as attention reads it (see `model.attention`)."""
        return self._padded(whole_blocks(self.mask.shape[1]))

    def _padded(self, longest: int) -> Source:
        extra = longest - self.mask.shape[1]
        if not extra:
            return self
        pad = torch.nn.functional.pad
        return Source(
            pad(self.keys, (0, 0, 0, extra)), pad(self.values, (0, 0, 0, extra)), pad(self.mask, (0, extra))
        )


class DecoderCache:
    """The running state of R rows of G segments. All rows of a segment have the same length."""

    def __init__(
        self, source: Source, rows_per_segment: Sequence[int], capacity: Sequence[int] | int
    ) -> None:
        num_layers, num_segments, num_heads, _, head_width = source.keys.shape
        limits = [capacity] * num_segments if isinstance(capacity, int) else list(capacity)
        if (
            not (num_segments == len(rows_per_segment) == len(limits))
            or min([*rows_per_segment, *limits]) < 1
        ):
            raise ValueError(f"{num_segments} segments need a row count and a capacity of at least 1 each")
        self.source = source
        self.rows_per_segment, self.capacities = list(rows_per_segment), limits
        self.filled = [0] * num_segments  # positions held by each segment's rows; kept on the host
        # Memory follows what is filled, not what may be: most segments end long before their capacity.
        shape = (num_layers, sum(rows_per_segment), num_heads, self._room(0), head_width)
        self.keys, self.values = source.keys.new_zeros(shape), source.keys.new_zeros(shape)
        self._index_rows()

    def _room(self, filled: int) -> int:
        """Positions to hold for so many filled ones: whole blocks, no more than the longest capacity."""
        return min(whole_blocks(filled + 1), max(self.capacities, default=0))

    @property
    def num_rows(self) -> int:
        return len(self.segment_of_row)

    @property
    def num_segments(self) -> int:
        return len(self.rows_per_segment)

    @property
    def num_bytes(self) -> int:
        """Bytes held on the device by keys and values, of target and source."""
        tensors = (self.keys, self.values, self.source.keys, self.source.values)
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def _index_rows(self) -> None:
        """Derive the per-row tensors from the per-segment lists."""
        device, counts = self.source.keys.device, torch.tensor(self.rows_per_segment, dtype=torch.long)
        segment_of_row = torch.repeat_interleave(torch.arange(self.num_segments), counts)
        first_row = (counts.cumsum(0) - counts)[segment_of_row]
        self.segment_of_row = segment_of_row.to(device)
        self.slot_of_row = (torch.arange(len(segment_of_row)) - first_row).to(device)
        self.lengths = torch.tensor(self.filled, dtype=torch.long)[segment_of_row].to(device)
        self.is_uniform = len(set(self.rows_per_segment)) <= 1

    def check_room(self) -> None:
        """Raises `CacheOverflow` when some segment has filled its capacity."""
        for segment, (filled, capacity) in enumerate(zip(self.filled, self.capacities, strict=True)):
            if filled >= capacity:
                raise CacheOverflow(f"segment {segment} holds {filled} positions, its capacity is {capacity}")

    def append(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Store the new position's `key` and `value` [R, H, 1, K] of one layer, at each row's own length.

        Answers keys and values [R, H, N, K], in whole blocks where the capacity allows, and the mask
        [R, 1, 1, N] of what each row may see, the new position included. `advance` closes the step after the
        last layer.
        """
        room = self._room(max(self.filled))
        self.keys, self.values = _grown(self.keys, room), _grown(self.values, room)
        rows = torch.arange(self.num_rows, device=key.device)
        self.keys[layer, rows, :, self.lengths] = key[:, :, 0]
        self.values[layer, rows, :, self.lengths] = value[:, :, 0]
        mask = filled_mask(self.lengths + 1, room)
        return self.keys[layer, :, :, :room], self.values[layer, :, :, :room], mask

    def advance(self) -> None:
        """The position that all layers appended is now part of every row."""
        self.filled = [filled + 1 for filled in self.filled]
        self.lengths = self.lengths + 1

    def attend_source(self, layer: int, query: Tensor) -> Tensor:
        """Cross-attention of `query` [R, H, 1, K], same shape back: beams are queries of one attention."""
        grid = self._to_grid(query[:, :, 0])
        mask = attend_to_source(self.source.mask)
        out = attention(grid.transpose(1, 2), self.source.keys[layer], self.source.values[layer], mask)
        return self._from_grid(out.transpose(1, 2)).unsqueeze(2)

    def source_weights(self, layer: int, query: Tensor) -> Tensor:
        """How much `query` [R, H, 1, K] attends to each source token, averaged over the heads: [R, S]."""
        grid = self._to_grid(query[:, :, 0])
        mask = attend_to_source(self.source.mask)
        weights = attention_weights(grid.transpose(1, 2), self.source.keys[layer], mask)  # [G, H, W, S]
        return self._from_grid(weights.mean(dim=1))

    def _to_grid(self, rows: Tensor) -> Tensor:
        """[R, H, K] -> [G, W, H, K]; slots that a narrower segment does not use hold zeros."""
        width = max(self.rows_per_segment)
        if self.is_uniform:
            return rows.view(self.num_segments, width, *rows.shape[1:])
        grid = rows.new_zeros(self.num_segments, width, *rows.shape[1:])
        grid[self.segment_of_row, self.slot_of_row] = rows
        return grid

    def _from_grid(self, grid: Tensor) -> Tensor:
        return grid.flatten(0, 1) if self.is_uniform else grid[self.segment_of_row, self.slot_of_row]

    def reorder(self, parents: Tensor) -> None:
        """Row r continues what row `parents[r]` held. `parents` [R] must stay within each row's own segment.

        Raises `ValueError` when it does not: another segment's row has another source and another length.
        """
        if not torch.equal(self.segment_of_row[parents], self.segment_of_row):
            raise ValueError("parents must be rows of the same segment")
        if not torch.equal(parents, torch.arange(self.num_rows, device=parents.device)):
            self.keys, self.values = _rows(self.keys, parents), _rows(self.values, parents)

    def keep(self, segments: Tensor) -> None:
        """Drop every segment, with its rows, where `segments` [G] (boolean) is False.

        Raises `ValueError` when `segments` is of another shape or type; then nothing has changed.
        """
        if segments.shape != (self.num_segments,) or segments.dtype != torch.bool:
            raise ValueError(f"keep needs one boolean for each of {self.num_segments} segments")
        rows = segments.to(self.segment_of_row.device)[self.segment_of_row]
        kept = segments.nonzero()[:, 0].tolist()
        self.source = self.source.keep(segments.to(self.source.mask.device))
        self.rows_per_segment = [self.rows_per_segment[i] for i in kept]
        self.capacities = [self.capacities[i] for i in kept]
        self.filled = [self.filled[i] for i in kept]
        room = self._room(max(self.filled, default=0))
        left = rows.nonzero()[:, 0]
        self.keys, self.values = (
            _rows(self.keys[:, :, :, :room], left),
            _rows(self.values[:, :, :, :room], left),
        )
        self._index_rows()

    def join(self, other: DecoderCache) -> None:
        """Append another cache's segments and rows after these. `other` must not be used afterwards."""
        capacity = max(self.keys.shape[3], other.keys.shape[3])
        self.keys = torch.cat((_grown(self.keys, capacity), _grown(other.keys, capacity)), 1)
        self.values = torch.cat((_grown(self.values, capacity), _grown(other.values, capacity)), 1)
        self.source = self.source.join(other.source)
        self.rows_per_segment = self.rows_per_segment + other.rows_per_segment
        self.capacities = self.capacities + other.capacities
        self.filled = self.filled + other.filled
        self._index_rows()


def whole_blocks(num_positions: int) -> int:
    """So many positions, rounded up to whole blocks."""
    return -(-num_positions // BLOCK) * BLOCK


def _rows(store: Tensor, rows: Tensor) -> Tensor:
    """The rows (or segments) at these indices: whole stretches of memory, which plain indexing copies value
    by value, at four to six times the cost."""
    return store.index_select(1, rows)


def _grown(store: Tensor, capacity: int) -> Tensor:
    extra = capacity - store.shape[3]
    return torch.nn.functional.pad(store, (0, 0, 0, extra)) if extra > 0 else store
