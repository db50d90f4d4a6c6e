"""What a decoder remembers between steps: keys and values, its own by row, the source's by segment.

Knows: which rows belong to which segment, how far each has come, how much memory it may hold. Must not know:
weights, tokens, strategies, which places are free. `attend_self`, `advance`, `reorder`, `keep` and `join` are
the only ways to change it.
Shapes: L layers, R rows, G segments, H heads, S source, K head width, W rows of the widest segment, E places
that attention reads (see `model.places`).

    segment      0       0       0       1            rows of a segment stand together, and beams of one
    row          0       1       2       3            segment read one copy of its source: they are W
    slot         0       1       2       0            query positions of one attention

Rows and segments are numbered in the order in which they joined; where their keys and values lie is another
matter, so that neither leaving nor joining moves those of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.attention import attention, attention_weights
from model.blocks import whole_blocks
from model.masks import filled_mask
from model.places import PlacedStore

HOLES_PER_PLACE = 0.25  # of the places that attention reads; with more, holes are closed


class CacheOverflow(RuntimeError):
    """A row was asked to remember more positions than were reserved for it."""


@dataclass(frozen=True, slots=True)
class Source:
    """The encoded side, computed once per segment: `keys`, `values` [L, G, H, S, K] and `mask` [G, S].

    Real tokens stand first, padding last, as `pad_batch` lays them.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor

    def in_blocks(self) -> Source:
        """The same, as long as attention reads it (see `model.attention`)."""
        extra = whole_blocks(self.mask.shape[1]) - self.mask.shape[1]
        if not extra:
            return self
        pad = torch.nn.functional.pad
        return Source(
            pad(self.keys, (0, 0, 0, extra)), pad(self.values, (0, 0, 0, extra)), pad(self.mask, (0, extra))
        )


class DecoderCache:
    """The running state of R rows of G segments. All rows of a segment have the same length.

    Memory held, in positions of a row or of a source, is never more than what is reserved for those that run:
    rows x the longest capacity + segments x the longest source, in whole blocks.
    """

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
        self.rows_per_segment, self.capacities = list(rows_per_segment), limits
        self.filled = [0] * num_segments  # positions held by each segment's rows; kept on the host
        self.source_lengths: list[int] = source.mask.sum(1).tolist()
        source = source.in_blocks()
        self.sources = PlacedStore(source.keys, source.values)
        # Memory follows what is filled, not what may be: most segments end long before their capacity, and
        # before the first step nothing is filled, so that nothing has to be copied when they join others.
        shape = (num_layers, sum(rows_per_segment), num_heads, 0, head_width)
        self.targets = PlacedStore(source.keys.new_zeros(shape), source.keys.new_zeros(shape))
        self._index_rows()

    def _room(self) -> int:
        """Positions to hold for the next one: whole blocks, no more than the longest capacity."""
        filled = max(self.filled, default=0)
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
        return self.targets.num_bytes + self.sources.num_bytes

    def _index_rows(self) -> None:
        """Derive the per-row tensors from the per-segment lists, after any change of these."""
        device, counts = self.targets.place_of.device, torch.tensor(self.rows_per_segment, dtype=torch.long)
        segment_of_row = torch.repeat_interleave(torch.arange(self.num_segments), counts)
        self.segment_of_row = segment_of_row.to(device)
        self.lengths = torch.tensor(self.filled, dtype=torch.long)[segment_of_row].to(device)
        self._is_settled = False

    def _settle(self) -> None:
        """What a step needs: long enough places, few holes, and who asks which source.

        Not sooner, since those who join before the step fill the holes of those who left.
        """
        store, room = self.targets, self._room()
        if store.room < room:
            store.move(self._affordable(store, store.num_tenants, store.num_places, room), room)
            self._fit()
        for store, room in self._tightest():
            if store.num_holes > HOLES_PER_PLACE * store.end:
                store.move(store.num_tenants, room)
        self._index_queries()
        self._index_sources()
        self._is_settled = True

    def _index_queries(self) -> None:
        """Where each row asks its source: query `slot` of its segment's place, of W each."""
        device, counts = self.segment_of_row.device, torch.tensor(self.rows_per_segment, dtype=torch.long)
        rows, first_row = torch.arange(self.num_rows, device=device), (counts.cumsum(0) - counts).to(device)
        self._width = max(self.rows_per_segment)
        places, slots = self.sources.place_of[self.segment_of_row], rows - first_row[self.segment_of_row]
        self._query_of_row = places * self._width + slots
        # A query that is no row's is computed for nothing, of row 0.
        self._row_of_query = rows.new_zeros(self.sources.end * self._width)
        self._row_of_query[self._query_of_row] = rows

    def _index_sources(self) -> None:
        """Mask the sources [E, 1, 1, S] as far as the longest that is here."""
        lengths = torch.tensor(self.source_lengths, dtype=torch.long).to(self.segment_of_row.device)
        self._source_room = whole_blocks(max(self.source_lengths))
        self._source_mask = filled_mask(lengths[self.sources.tenant_at], self._source_room)

    def check_room(self) -> None:
        """Raises `CacheOverflow` when some segment has filled its capacity."""
        for segment, (filled, capacity) in enumerate(zip(self.filled, self.capacities, strict=True)):
            if filled >= capacity:
                raise CacheOverflow(f"segment {segment} holds {filled} positions, its capacity is {capacity}")

    def attend_self(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Append a position to every row of one layer, then attend to all that each row holds.

        `query`, `key` and `value` [R, H, 1, K] are the new position's; the answer has the same shape. The
        first layer's call opens a step, before anything is asked of the sources; `advance` closes it.
        """
        store = self.targets
        if not self._is_settled or store.room < self._room():
            self._settle()
        store.keys[layer, store.place_of, :, self.lengths] = key[:, :, 0]
        store.values[layer, store.place_of, :, self.lengths] = value[:, :, 0]
        room = min(whole_blocks(max(self.filled) + 1), store.room)  # all that is held of the last block
        mask = filled_mask(self.lengths[store.tenant_at] + 1, room)
        keys, values = store.keys[layer, : store.end, :, :room], store.values[layer, : store.end, :, :room]
        return attention(query[store.tenant_at], keys, values, mask)[store.place_of]

    def advance(self) -> None:
        """The position that all layers appended is now part of every row."""
        self.filled = [filled + 1 for filled in self.filled]
        self.lengths = self.lengths + 1

    def attend_source(self, layer: int, query: Tensor) -> Tensor:
        """Cross-attention of `query` [R, H, 1, K], same shape back: beams are queries of one attention."""
        keys = self._read_sources(layer, self.sources.keys)
        values = self._read_sources(layer, self.sources.values)
        out = attention(self._to_grid(query), keys, values, self._source_mask)
        return self._from_grid(out.transpose(1, 2)).unsqueeze(2)

    def source_weights(self, layer: int, query: Tensor) -> Tensor:
        """How much `query` [R, H, 1, K] attends to each source token, averaged over the heads: [R, S]."""
        keys = self._read_sources(layer, self.sources.keys)
        weights = attention_weights(self._to_grid(query), keys, self._source_mask)  # [E, H, W, S]
        return self._from_grid(weights.mean(dim=1))

    def _read_sources(self, layer: int, store: Tensor) -> Tensor:
        return store[layer, : self.sources.end, :, : self._source_room]

    def _to_grid(self, query: Tensor) -> Tensor:
        """[R, H, 1, K] -> [E, H, W, K]."""
        rows = query[:, :, 0].index_select(0, self._row_of_query)
        return rows.view(self.sources.end, self._width, *rows.shape[1:]).transpose(1, 2)

    def _from_grid(self, grid: Tensor) -> Tensor:
        """[E, W, ...] -> [R, ...]."""
        return grid.flatten(0, 1).index_select(0, self._query_of_row)

    def reorder(self, parents: Tensor) -> None:
        """Row r continues what row `parents[r]` held. `parents` [R] must stay within each row's own segment.

        Raises `ValueError` when it does not: another segment's row has another source and another length.
        """
        parents = parents.to(self.segment_of_row.device)
        if not torch.equal(self.segment_of_row[parents], self.segment_of_row):
            raise ValueError("parents must be rows of the same segment")
        if not torch.equal(parents, torch.arange(self.num_rows, device=parents.device)):
            self.targets.reorder(parents)

    def keep(self, segments: Tensor) -> None:
        """Drop every segment, with its rows, where `segments` [G] (boolean) is False.

        Raises `ValueError` when `segments` is of another shape or type; then nothing has changed.
        """
        if segments.shape != (self.num_segments,) or segments.dtype != torch.bool:
            raise ValueError(f"keep needs one boolean for each of {self.num_segments} segments")
        segments = segments.to(self.segment_of_row.device)
        self.targets.leave(~segments[self.segment_of_row])
        self.sources.leave(~segments)
        kept = segments.nonzero()[:, 0].tolist()
        self.rows_per_segment = [self.rows_per_segment[i] for i in kept]
        self.capacities = [self.capacities[i] for i in kept]
        self.filled = [self.filled[i] for i in kept]
        self.source_lengths = [self.source_lengths[i] for i in kept]
        self._fit()
        self._index_rows()

    def join(self, other: DecoderCache) -> None:
        """Append another cache's segments and rows after these. `other` must not be used afterwards."""
        self.rows_per_segment = self.rows_per_segment + other.rows_per_segment
        self.capacities = self.capacities + other.capacities
        self.filled = self.filled + other.filled
        self.source_lengths = self.source_lengths + other.source_lengths
        self._join_store(self.targets, other.targets)
        self._join_store(self.sources, other.sources)
        self._fit()
        self._index_rows()

    def _join_store(self, store: PlacedStore, joining: PlacedStore) -> None:
        """Into free places; where these are too few or too short, all move once, to a quarter more."""
        needed, room = store.num_tenants + joining.num_tenants, max(store.room, joining.room)
        if joining.num_tenants > store.num_free or room > store.room:
            store.move(self._affordable(store, needed, store.num_places * 5 // 4, room), room)
        store.join(joining)

    def _affordable(self, store: PlacedStore, needed: int, wanted: int, room: int) -> int:
        """As many places as are wanted, if the reservation allows, and no fewer than are needed."""
        left = self._reserved() - (self._held() - store.num_positions)
        return max(needed, min(wanted, left // max(room, 1)))

    def _held(self) -> int:
        """Positions in memory, taken or not."""
        return self.targets.num_positions + self.sources.num_positions

    def _reserved(self) -> int:
        """Positions that may be held for all that run now."""
        targets = sum(self.rows_per_segment) * max(self.capacities, default=0)
        return targets + len(self.source_lengths) * whole_blocks(max(self.source_lengths, default=0))

    def _fit(self) -> None:
        """Close up the store that wastes most when more is held than is reserved, then if need be the other.

        With a place for each tenant, no longer than `_tightest` says, both are within what is reserved.
        """

        def wasted(tightest: tuple[PlacedStore, int]) -> int:
            store, room = tightest
            return store.num_positions - store.num_tenants * room

        for store, room in sorted(self._tightest(), key=wasted, reverse=True):
            if self._held() > self._reserved():
                store.move(store.num_tenants, room)

    def _tightest(self) -> list[tuple[PlacedStore, int]]:
        """Both stores, each with the positions that a place of it needs."""
        longest_source = whole_blocks(max(self.source_lengths, default=0))
        return [(self.targets, min(self.targets.room, self._room())), (self.sources, longest_source)]
