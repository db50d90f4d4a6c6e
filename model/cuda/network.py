"""The network on a GPU: captured steps, several of them ahead of the search where it is plain.

Knows: what a `Network` promises, the device's state, caches. Must not know: strategies, requests, text.

A search asks for one step at a time. Where all that runs is plain (greedy or beams, no rule but a shortest
length), what it will do with the scores is known: so `STEPS_AHEAD` steps are computed in one go, selection
included, and the host waits once for what came of all of them. The search is then told one step after the
other, and never notices: what it does with them is its own code. Where it does something else after all, or
someone joins, the device's table of ancestors is taken back to where the search stands; keys and values
need not be. The same code runs without a GPU, with calls in place of replays.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import product
from typing import cast

import torch
from torch import Tensor

from model.alignment import cross_attention
from model.cuda.cache import AheadCache, CachedSegment
from model.cuda.choose import choose_ways
from model.cuda.encoder import Encoder
from model.cuda.graphs import Graphs
from model.cuda.memory import check_memory, plan
from model.cuda.places import Lease, Places
from model.cuda.record import Block, ToldScores
from model.cuda.running_on import RunningOn
from model.cuda.scores import NotedScores
from model.cuda.shapes import SHORTEST_ROOM, STEP, StepShape, at_least, room, step_shape
from model.cuda.state import Pools, StepState
from model.cuda.step import StepWork
from model.cuda.ways import Ways
from model.devices import choose_device, set_up
from model.network import Cache
from model.step_scores import DenseScores
from model.transfers import to_device
from model.transformer import Transformer

STEPS_AHEAD = 4  # a segment that ends in the midst of them has up to 3 computed for nothing, of about 25


class CudaNetwork:
    """See `Network`. Its tensors are the device's; what searches are told of foreseen steps is on the
    host."""

    def __init__(
        self,
        model: Transformer,
        *,
        device: torch.device | str = "cuda",
        dtype: torch.dtype = torch.bfloat16,
        max_rows: int = 64,
        steps_ahead: int = STEPS_AHEAD,
        capture: bool = True,
        ways: Ways | None = None,
    ) -> None:
        """A copy of `model` in `dtype`, and room for `max_rows` rows of any lengths. `capture`: replay steps.

        Raises `DeviceError` where the device is not there, or has too little memory.
        """
        if min(max_rows, steps_ahead) < 1:
            raise ValueError(f"max_rows and steps_ahead must be at least 1, got {max_rows} and {steps_ahead}")
        self.config, self.device = model.config, choose_device(str(device))
        set_up(self.device)
        self._itemsize = torch.empty(0, dtype=dtype).element_size()
        self._check_memory(model, max_rows)
        with torch.inference_mode():
            self._build(
                model,
                dtype,
                max_rows,
                steps_ahead,
                capture,
                ways or choose_ways(self.config, self.device, dtype),
            )
        self.precision = str(dtype).removeprefix("torch.")
        self.num_waits = 0  # how often the host waited for steps computed ahead

    def _check_memory(self, model: Transformer, max_rows: int) -> None:
        fused = (3 + 2) * self.config.num_decoder_layers * self.config.d_model**2
        needed = plan(self.config, model.num_parameters() + fused, max_rows, self._itemsize)
        check_memory(needed, self.device, max_rows)

    def _build(
        self,
        model: Transformer,
        dtype: torch.dtype,
        max_rows: int,
        steps_ahead: int,
        capture: bool,
        ways: Ways,
    ) -> None:
        self._model = copy.deepcopy(model).eval().requires_grad_(False).to(device=self.device, dtype=dtype)
        self._steps_ahead, self._max_rows = steps_ahead, max_rows
        self._row_places, self._source_places = Places(max_rows, "rows"), Places(max_rows, "sources")
        self._state = StepState(self.config, max_rows, steps_ahead, self.device)
        pools = Pools(self.config, max_rows, dtype, self.device)
        self._work = StepWork(self._model, pools, self._state, ways)
        self._graphs = Graphs(self.device, capture=capture)
        self._encoder = Encoder(self._work, self.config, self._graphs, max_rows)
        self._loaded: weakref.ref[AheadCache] | None = None  # whose ancestors the device has
        self._running_on: RunningOn | None = None
        self._ancestors_of = weakref.WeakKeyDictionary[AheadCache, Tensor]()  # of others

    @property
    def path(self) -> str:
        return "cuda-graph" if self._graphs.captures else "direct"

    @property
    def ways(self) -> str:
        """By which ways a step is computed, such as "FusedAttend, FusedBetween, FusedFinish"."""
        return self._work.ways.names

    @property
    def bytes_per_position(self) -> int:
        return 2 * self.config.num_decoder_layers * self.config.d_model * self._itemsize

    @property
    def capture_seconds(self) -> float:
        """Spent on capturing so far."""
        return self._graphs.seconds

    @torch.inference_mode()
    def prepare(self, widths: Iterable[int]) -> int:
        """Capture passes of the encoder, and steps of beams of these `widths`, for every number of segments
        up to `max_rows` rows and the two shortest rooms: what is not captured here is when it is first
        needed. Answers how many graphs there are now."""
        self._encoder.prepare(self._max_rows)
        rooms = (SHORTEST_ROOM, STEP * SHORTEST_ROOM)
        for width, target_room, source_room in product(widths, rooms, rooms):
            segments = at_least(max(1, self._max_rows // width))
            while segments:  # the largest first: the others fit into the memory that it leaves
                self._capture("advance", self._shape([width] * segments, target_room, source_room))
                segments //= 2
        return len(self._graphs)

    def open(
        self, source_ids: Sequence[Sequence[int]], rows_per_segment: Sequence[int], capacity: Sequence[int]
    ) -> AheadCache:
        self._check_segments(source_ids, rows_per_segment, capacity)
        lines = zip(rows_per_segment, capacity, source_ids, strict=True)
        segments = [CachedSegment(rows, limit, len(ids)) for rows, limit, ids in lines]
        lease = Lease(self._row_places, self._source_places)
        lease.take(sum(rows_per_segment), len(segments))
        cache = AheadCache(segments, lease, self.bytes_per_position, self._undo)
        self._encoder.encode(source_ids, lease.sources)
        return cache

    def _check_segments(
        self, source_ids: Sequence[Sequence[int]], rows: Sequence[int], capacity: Sequence[int]
    ) -> None:
        """By the host alone: an index past a table on a GPU would end the process, not the call."""
        if not source_ids or not len(source_ids) == len(rows) == len(capacity) or min(rows) < 1:
            raise ValueError(f"{len(source_ids)} segments need a row count and a capacity of at least 1 each")
        longest = {"max_source_length": max(map(len, source_ids)), "max_target_length": max(capacity)}
        if min(map(len, source_ids)) < 1 or min(capacity) < 1:
            raise ValueError("sources and capacities must be at least 1")
        for field, length in longest.items():
            if length > getattr(self.config, field):
                raise ValueError(
                    f"{length} positions are more than {field}, which is {getattr(self.config, field)}"
                )
        self._check_ids("source", [i for ids in source_ids for i in ids], self.config.source_vocab_size)

    def _check_ids(self, kind: str, ids: Sequence[int], size: int) -> None:
        if not 0 <= min(ids) <= max(ids) < size:
            raise ValueError(f"{kind} ids must be in 0..{size - 1}, got {min(ids)} to {max(ids)}")

    def step(
        self, token_ids: Tensor, cache: Cache, *, watch: bool = False
    ) -> ToldScores | NotedScores | DenseScores:
        own = cast(AheadCache, cache)  # `open` made it
        tokens = token_ids.tolist()
        own.check(len(tokens))
        self._check_ids("target", tokens, self.config.target_vocab_size)
        agrees = self._agree(own, tokens, watch)
        if own.block is None and own.is_foreseen and not watch and self._steps_ahead > 1:
            running = self._running_on if agrees else None
            if running is None or running.cache() is not own:
                running = self._begin(own, tokens)
            self._await(own, running)
        if own.block is not None:
            own.advance()
            return own.block.tell()
        scores = self._compute_one(own, tokens, watch)
        own.advance()
        return scores

    def _agree(self, cache: AheadCache, tokens: list[int], watch: bool) -> bool:
        """Afterwards a block is one that says what comes next. Whether the search is at the end of one, and
        stands where the device did then."""
        block = cache.block
        if block is None:
            return False
        if not block.expects(tokens):
            cache.distrust(moved=block.has_moved)
        elif not block.num_left:
            cache.close_block()
            return True
        elif watch:
            cache.forget_ahead(moved=True)
        return False

    def _begin(self, cache: AheadCache, tokens: list[int]) -> RunningOn:
        """Have the device compute several steps from where the search stands."""
        count = min(self._steps_ahead, cache.most_steps())
        shape = self._load("advance", cache, tokens, count)
        lengths = [one.filled for one in cache.segments for _ in range(one.rows)]
        return self._run(RunningOn(weakref.ref(cache), shape, count, lengths, self._state.before[0]))

    def _run(self, running: RunningOn) -> RunningOn:
        shape = running.shape
        running.before[: shape.rows].copy_(self._state.ancestors[: shape.rows])
        self._state.view(shape).counter.zero_()
        for _ in range(running.count):
            self._graphs.run(("advance", shape), lambda: self._work.advance(shape))
        self._state.send(shape, running.count)
        return running

    def _await(self, cache: AheadCache, running: RunningOn) -> None:
        """One wait for what came of several steps; more of them are begun, if that is of use."""
        self._running_on = None
        told = self._state.told(running.shape, running.count)
        self.num_waits += 1
        told = told[:, :, : len(running.lengths)].clone()
        cache.block = Block(told, list(cache.on_device), list(cache.totals), running.lengths, running.before)
        cache.is_current = len(cache.on_device) == len(running.lengths)
        self._shape_loaded = running.shape
        if cache.runs_on and (following := running.following(cache, self._steps_ahead)) is not None:
            self._running_on = self._run(replace(following, before=self._state.other_than(running.before)))

    def _give_up_running_on(self) -> None:
        """The device's table as it was before steps that nobody will ask for."""
        running, self._running_on = self._running_on, None
        if running is not None:
            rows = running.shape.rows
            self._state.ancestors[:rows].copy_(running.before[:rows])
            if (cache := running.cache()) is not None:
                cache.is_current = False

    def replay_last(self) -> None:
        """The last step computed ahead once more, to measure it, with histories as long as they are: rows
        remember nothing of use afterwards."""
        self._running_on, shape = None, self._shape_loaded
        view = self._state.view(shape)
        view.counter.zero_()
        self._graphs.run(("advance", shape), lambda: self._work.advance(shape))
        view.length.sub_(1)

    def replayed_positions(self) -> int:
        """How many positions the longest row of that step attends to, its own among them. Waits."""
        return 1 + int(self._state.view(self._shape_loaded).length.max())

    def _compute_one(self, cache: AheadCache, tokens: list[int], watch: bool) -> NotedScores:
        kind = "watched" if watch else "log_probs"
        shape = self._load(kind, cache, tokens, 1)
        num_rows = cache.num_rows
        attention = None
        if watch:  # rare: not captured
            log_probs, weights = self._work.watched_log_probs(shape)
            attention = weights[:num_rows]
        else:
            log_probs = self._graphs.run(("log_probs", shape), lambda: self._work.log_probs(shape))
        cache.is_current = False  # lengths and tokens have not gone on
        cache.origins = list(range(num_rows))
        dense = DenseScores(log_probs[:num_rows], attention)
        return NotedScores(dense, list(range(num_rows)), cache.note_totals)

    def _shape(self, widths: Sequence[int], target_room: int, source_room: int) -> StepShape:
        longest_target, longest_source = self.config.max_target_length, self.config.max_source_length
        if self._work.ways.attend.any_room:
            return step_shape(widths, longest_target, longest_source)
        return step_shape(widths, room(target_room, longest_target), room(source_room, longest_source))

    def _load(self, kind: str, cache: AheadCache, tokens: list[int], num_steps: int) -> StepShape:
        """The device's state becomes the cache's, unless it is already; the shape of what comes next."""
        segments = cache.segments
        shape = self._shape(
            [one.rows for one in segments],
            max(one.filled for one in segments) + num_steps,
            max(one.source_length for one in segments),
        )
        self._give_up_running_on()
        loaded = None if self._loaded is None else self._loaded()
        if loaded is cache and cache.is_current and shape == self._shape_loaded and kind == "advance":
            return shape
        if kind != "watched" and self._graphs.wants((kind, shape)):
            self._capture(kind, shape)
            loaded = None if self._loaded is None else self._loaded()
        self._bring_ancestors(loaded, cache)
        self._state.load(shape, _row_fields(cache, tokens), _segment_fields(cache), cache.totals)
        cache.on_device = list(range(cache.num_rows))
        return shape

    def _bring_ancestors(self, loaded: AheadCache | None, cache: AheadCache) -> None:
        """The rows of the table in the order of the cache's rows."""
        table = self._state.ancestors
        if loaded is not cache:
            self._save_ancestors(loaded)
            if (saved := self._ancestors_of.pop(cache, None)) is not None:
                table[: len(saved)].copy_(saved)
            self._loaded = weakref.ref(cache)
        if cache.origins != list(range(cache.num_rows)):
            origins = self._to_device(cache.origins)
            table[: len(cache.origins)].copy_(table.index_select(0, origins))
            cache.origins = list(range(cache.num_rows))

    def _save_ancestors(self, loaded: AheadCache | None) -> None:
        if loaded is not None and loaded.num_rows:
            loaded.settle()
            self._give_up_running_on()
            self._ancestors_of[loaded] = self._state.ancestors.clone()
            loaded.is_current = False

    def _to_device(self, numbers: Sequence[int]) -> Tensor:
        return to_device(torch.tensor(numbers, dtype=torch.long), self.device)

    def _capture(self, kind: str, shape: StepShape) -> None:
        """On a state that is nobody's; whose it was is saved."""
        if not self._graphs.wants((kind, shape)):
            return
        self._save_ancestors(None if self._loaded is None else self._loaded())
        self._loaded = None
        self._state.blank(shape)
        work = self._work.advance if kind == "advance" else self._work.log_probs
        self._graphs.capture((kind, shape), lambda: work(shape))

    def _undo(self, block: Block, moved: bool) -> None:
        """The table as it was before the block, then the steps that were told, on all its rows; `moved`:
        the last one's reordering too. (The places that rows write to are those of the state, which has not
        changed since.)"""
        self._running_on, num_rows = None, len(block.lengths)
        table = self._state.ancestors[:num_rows]
        table.copy_(block.before[:num_rows])
        view = self._state.view(self._shape_loaded)
        places = view.place[:num_rows, None].int()
        for index, parents in enumerate(block.moves):
            lengths = self._to_device([length + index for length in block.lengths])
            table.scatter_(1, lengths.clamp(max=table.shape[1] - 1)[:, None], places)
            if moved or index + 1 < len(block.moves):
                table.copy_(table.index_select(0, self._to_device(parents)))

    def cross_attention(self, source_ids: Sequence[int], target_ids: Sequence[int]) -> Tensor:
        return cross_attention(self._model, source_ids, target_ids)


def _row_fields(cache: AheadCache, tokens: list[int]) -> dict[str, list[int]]:
    rows = [(index, one, member) for index, one in enumerate(cache.segments) for member in range(one.rows)]
    return {
        "token": tokens,
        "length": [one.filled for _, one, _ in rows],
        "place": cache.lease.rows,
        "segment": [index for index, _, _ in rows],
        "member": [member for _, _, member in rows],
        "least": [one.foreseen.least_tokens if one.foreseen else 0 for _, one, _ in rows],
    }


def _segment_fields(cache: AheadCache) -> dict[str, list[int]]:
    return {
        "source": cache.lease.sources,
        "source_length": [one.source_length for one in cache.segments],
        "width": [one.rows for one in cache.segments],
    }
