"""Whatever is done to a native cache, in any order: a row answers bit for bit as it does alone."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from torch import Tensor

from model.kv_cache import CacheOverflow, whole_blocks
from model.native.binding import Library
from model.native.cache import NativeCache
from model.native.network import BLOCK, NativeNetwork
from tests.builders import TINY_VOCABULARY, tiny_model
from tests.model.native.kernels import LEVELS, library_of, native

TOKENS = st.integers(0, TINY_VOCABULARY - 1)
MODEL = tiny_model(d_model=24, num_decoder_heads=3, num_encoder_heads=2)


@dataclass
class Segment:
    """What the cache should know of one segment: its source, and every row's tokens from the start."""

    source_ids: list[int]
    capacity: int
    rows: list[list[int]] = field(default_factory=list)

    @property
    def filled(self) -> int:
        return len(self.rows[0])


def alone(network: NativeNetwork, segment: Segment, tokens: list[int]) -> Tensor:
    """The log-probabilities [V] after these tokens, of a row that has never had company."""
    cache = network.open([segment.source_ids], [1], [segment.capacity])
    for token_id in tokens[:-1]:
        network.step(torch.tensor([token_id]), cache)
    return network.step(torch.tensor(tokens[-1:]), cache).log_probs()[0].clone()


class NativeCacheMachine(RuleBasedStateMachine):
    """Any order of join, steps, reorder and keep, against lists of tokens and rows that run alone."""

    network: NativeNetwork

    def __init__(self) -> None:
        super().__init__()
        self.segments: list[Segment] = []
        self.cache: NativeCache

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        self.segments = self.draw_segments(data)
        self.cache = self.open(self.segments)

    def draw_segments(self, data: st.DataObject) -> list[Segment]:
        shapes = st.tuples(
            st.lists(TOKENS, min_size=1, max_size=20), st.integers(1, 5), st.integers(1, 2 * BLOCK + 3)
        )
        drawn = data.draw(st.lists(shapes, min_size=1, max_size=3), label="sources, rows, capacities")
        return [Segment(ids, capacity, [[] for _ in range(rows)]) for ids, rows, capacity in drawn]

    def open(self, segments: list[Segment]) -> NativeCache:
        sources = [segment.source_ids for segment in segments]
        rows = [len(segment.rows) for segment in segments]
        return self.network.open(sources, rows, [segment.capacity for segment in segments])

    def has_room(self) -> bool:
        return bool(self.segments) and all(segment.filled < segment.capacity for segment in self.segments)

    @rule(data=st.data())
    @precondition(lambda self: len(self.segments) < 6)
    def join(self, data: st.DataObject) -> None:
        new = self.draw_segments(data)
        self.cache.join(self.open(new))
        self.segments += new

    @rule(data=st.data(), count=st.integers(1, BLOCK))
    @precondition(has_room)
    def steps(self, data: st.DataObject, count: int) -> None:
        """Several: blocks are long, and their borders are what matters."""
        rows = [(segment, row) for segment in self.segments for row in segment.rows]
        count = min(count, *(segment.capacity - segment.filled for segment in self.segments))
        seed = data.draw(st.integers(0, 10**6), label="seed of tokens")
        tokens = torch.randint(
            0, TINY_VOCABULARY, (count, len(rows)), generator=torch.Generator().manual_seed(seed)
        )
        for step in tokens:
            for (_, row), token_id in zip(rows, step.tolist(), strict=True):
                row.append(token_id)
            found = self.network.step(step, self.cache).log_probs().clone()
        for index, (segment, row) in enumerate(rows):
            assert torch.equal(found[index], alone(self.network, segment, row))

    @rule()
    @precondition(lambda self: self.segments and not self.has_room())
    def overflow(self) -> None:
        with pytest.raises(CacheOverflow):
            self.network.step(torch.full((self.cache.num_rows,), 5), self.cache)

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
        rows = [index for index, segment in enumerate(self.segments) for _ in segment.rows]
        assert self.cache.num_segments == len(self.segments)
        assert self.cache.num_rows == len(rows)
        assert self.cache.segment_of_row.tolist() == rows

    @invariant()
    def holds_whole_blocks_of_what_is_filled(self) -> None:
        keys = values = 0
        for segment in self.segments:
            length = len(segment.source_ids)
            own = len(segment.rows) * whole_blocks(segment.filled)
            keys, values = keys + own + whole_blocks(length), values + own + length
        assert self.cache.num_bytes * 2 == (keys + values) * self.network.bytes_per_position


def machine(level: str, precision: str, num_threads: int) -> type[NativeCacheMachine]:
    class Machine(NativeCacheMachine):
        network = native(MODEL, library_of(level), precision, num_threads)

    return Machine


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("precision", "num_threads"), [("float32", 1), ("float32", 2), ("int8", 1)])
def test_any_order_of_changes(level: str, precision: str, num_threads: int) -> None:
    case = machine(level, precision, num_threads).TestCase
    case.settings = settings(max_examples=25, stateful_step_count=14)
    with torch.inference_mode():
        case().runTest()


@torch.inference_mode()
def test_parents_and_segments_may_lie_apart_in_memory(best: Library) -> None:
    network = native(MODEL, best)
    apart, together = (network.open([[5], [6, 7], [8]], [2, 2, 1], [9] * 3) for _ in range(2))
    for step in range(4):
        tokens = torch.tensor([4, 5, 6, 7, 8][: apart.num_rows]) + step
        assert torch.equal(
            network.step(tokens, apart).log_probs().clone(), network.step(tokens, together).log_probs()
        )
        parents = torch.tensor([1, 0, 3, 3, 4][: apart.num_rows])
        apart.reorder(parents.repeat_interleave(2)[::2])
        together.reorder(parents)
        kept = torch.tensor([True, True, step < 1][: apart.num_segments])
        apart.keep(kept.repeat_interleave(2)[::2])
        together.keep(kept)
    assert apart.num_segments == 2
