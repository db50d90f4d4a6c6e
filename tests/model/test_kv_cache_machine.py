"""Whatever is done to a cache, in any order: it remembers what a recomputation from the start finds."""

from __future__ import annotations

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from model import blocks
from model.blocks import whole_blocks
from model.kv_cache import CacheOverflow, DecoderCache
from tests.model.cached_segments import (
    CAPACITY,
    EXACT_MODEL,
    START,
    TOKENS,
    Segment,
    recomputed,
    start,
)
from tests.model.closeness import distance


class CacheMachine(RuleBasedStateMachine):
    """Any order of join, step, reorder and keep, against lists of tokens and a recomputation.

    Memory grows by three positions at a time, so that short sequences cross several blocks.
    """

    def __init__(self) -> None:
        super().__init__()
        self.segments: list[Segment] = []
        self.cache: DecoderCache
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(blocks, "BLOCK", 3)

    def teardown(self) -> None:
        self.patch.undo()

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        self.segments = self.draw_segments(data)
        self.cache = start(EXACT_MODEL, self.segments)

    def draw_segments(self, data: st.DataObject) -> list[Segment]:
        shapes = st.tuples(
            st.lists(TOKENS, min_size=1, max_size=6), st.integers(1, 3), st.integers(3, CAPACITY)
        )
        drawn = data.draw(st.lists(shapes, min_size=1, max_size=2), label="sources, rows, capacities")
        return [Segment(ids, capacity, [[] for _ in range(rows)]) for ids, rows, capacity in drawn]

    def has_room(self) -> bool:
        return bool(self.segments) and all(segment.filled < segment.capacity for segment in self.segments)

    @rule(data=st.data())
    @precondition(lambda self: len(self.segments) < 5)
    def join(self, data: st.DataObject) -> None:
        new = self.draw_segments(data)
        self.cache.join(start(EXACT_MODEL, new))
        self.segments += new

    @rule(data=st.data())
    @precondition(has_room)
    def step(self, data: st.DataObject) -> None:
        rows = [row for segment in self.segments for row in segment.rows]
        token_ids = data.draw(st.lists(TOKENS, min_size=len(rows), max_size=len(rows)), label="tokens")
        for row, token_id in zip(rows, token_ids, strict=True):
            row.append(token_id if row else START)
        logits = EXACT_MODEL.decode_step(torch.tensor([row[-1] for row in rows]), self.cache)
        assert distance(logits, recomputed(EXACT_MODEL, self.segments)) < 1e-10

    @rule()
    @precondition(lambda self: self.segments and not self.has_room())
    def overflow(self) -> None:
        with pytest.raises(CacheOverflow):
            EXACT_MODEL.decode_step(torch.full((self.cache.num_rows,), 5), self.cache)

    @rule(data=st.data())
    def reorder(self, data: st.DataObject) -> None:
        parents, first = list[int](), 0
        for segment in self.segments:
            count = len(segment.rows)
            chosen = data.draw(st.lists(st.integers(0, count - 1), min_size=count, max_size=count))
            segment.rows = [list(segment.rows[parent]) for parent in chosen]
            parents += [first + parent for parent in chosen]
            first += count
        self.cache.reorder(torch.tensor(parents, dtype=torch.long))

    @rule(data=st.data())
    def keep(self, data: st.DataObject) -> None:
        count = len(self.segments)
        kept = data.draw(st.lists(st.booleans(), min_size=count, max_size=count), label="kept")
        self.cache.keep(torch.tensor(kept, dtype=torch.bool))
        self.segments = [segment for segment, is_kept in zip(self.segments, kept, strict=True) if is_kept]

    @invariant()
    def knows_its_rows(self) -> None:
        rows = [(index, segment) for index, segment in enumerate(self.segments) for _ in segment.rows]
        assert self.cache.num_segments == len(self.segments)
        assert self.cache.num_rows == len(rows)
        assert self.cache.segment_of_row.tolist() == [index for index, _ in rows]
        assert self.cache.lengths.tolist() == [segment.filled for _, segment in rows]

    @invariant()
    def holds_no_more_than_is_reserved(self) -> None:
        """Keys and values of 2 layers and width 16 in float64, for the longest that those here may become."""
        sources = [len(segment.source_ids) for segment in self.segments]
        capacity = max((segment.capacity for segment in self.segments), default=0)
        positions = self.cache.num_rows * capacity + len(sources) * whole_blocks(max(sources, default=0))
        assert self.cache.num_bytes <= 2 * 2 * 16 * 8 * positions

    @invariant()
    def gives_every_row_and_segment_a_place_of_its_own(self) -> None:
        for store, count in (
            (self.cache.targets, self.cache.num_rows),
            (self.cache.sources, self.cache.num_segments),
        ):
            places = store.place_of.tolist()
            assert len(places) == len(set(places)) == count == store.num_places - store.num_free
            assert store.end == max(places, default=-1) + 1
            assert store.num_holes == store.end - count

    @invariant()
    def keeps_no_infinity_of_a_former_tenant(self) -> None:
        """What nobody holds may be anything, so it is made the worst: who takes the place must not see it."""
        for store in (self.cache.targets, self.cache.sources):
            free = [place for place in range(store.num_places) if place not in store.place_of.tolist()]
            store.keys[:, free], store.values[:, free] = float("nan"), float("inf")


TestCacheMachine = CacheMachine.TestCase
TestCacheMachine.settings = settings(max_examples=25, stateful_step_count=16)
