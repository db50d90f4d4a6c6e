"""Whatever happens in whatever order: everybody hears what it would alone, and nothing runs in vain."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from model.decoding import DecodingOptions
from service.engine.coalescing import CoalescingEngine
from service.engine.errors import DeadlineExceeded, SegmentCancelled, StepFailed
from service.engine.event_stream import EventStream
from service.engine.request import DraftEvent, Event, FailedEvent, FinishedEvent, SegmentRequest, TokensEvent
from tests.service.engine.scripted_engine import ScriptedEngine, answer, script
from tests.service.engine.segments import request
from tests.service.engine.virtual_time import run_in_virtual_time, settle

UNSEEDED = DecodingOptions(strategy="sample")
KINDS = [
    *[DecodingOptions(strategy="greedy")] * 3,
    *[DecodingOptions(strategy="sample", seed=1)] * 2,
    UNSEEDED,
]
SOURCES = [(5, 3), (5, 3), (5, 3), (6, 3)]


@dataclass(eq=False)
class Known:
    """A consumer as the test knows it: `end` is what it has to hear last, None if it stopped reading."""

    request: SegmentRequest
    stream: EventStream
    computation: str
    end: type[FinishedEvent] | type[Exception] | None = None
    heard: list[Event] = field(default_factory=list)


class World:
    """Random actions on a coalescing engine, and what must come of them."""

    def __init__(self, seed: int) -> None:
        self.rng, self.inner, self.joins = random.Random(seed), ScriptedEngine(), 0
        self.engine = CoalescingEngine(self.inner, self._joined)
        self.live: dict[str, Known] = {}
        self.ended: list[Known] = []
        self.num_submitted = 0

    def _joined(self) -> None:
        self.joins += 1

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def act(self) -> None:
        others = ["finish", "cancel", "close", "fail", "wait"]
        action = self.rng.choice([*["submit"] * 7, *["progress"] * 4, *others])
        if action == "submit":
            self.submit()
        elif action == "wait":
            await self.wait()
        elif action in ("cancel", "close"):
            if self.live:
                await self.leave(self.rng.choice(sorted(self.live)), action)
        elif self.inner.running:
            self.drive(self.rng.choice(sorted(self.inner.running)), action)
        await settle()
        self.check()

    def submit(self) -> None:
        rng, name = self.rng, f"s{self.num_submitted}"
        stream = rng.random() < 0.5
        asked = request(
            rng.choice(SOURCES),
            rng.choice(KINDS),
            segment_id=name,
            stream=stream,
            draft=stream and rng.random() < 0.3,
            priority=rng.choice([0, 0, 0, 0, 1]),
            deadline=rng.choice([None, self.now + rng.randint(1, 9) + 0.5]),
        )
        before, joins = len(self.inner.submitted), self.joins
        events = self.engine.submit(asked)
        assert (len(self.inner.submitted) - before) + (self.joins - joins) == 1
        self.num_submitted += 1
        computation = self.engine._consumers[name].computation.request
        self.check_sharing(asked, computation)
        self.live[name] = Known(asked, events, computation.segment_id)

    def check_sharing(self, asked: SegmentRequest, computation: SegmentRequest) -> None:
        assert (asked.source_ids, asked.options) == (computation.source_ids, computation.options)
        assert asked.priority <= computation.priority
        assert computation.deadline is None
        if asked.options == UNSEEDED:
            assert self.inner.submitted[-1] is computation, "sampling without a seed was shared"

    async def wait(self) -> None:
        await asyncio.sleep(self.rng.randint(1, 4))
        late = [k for k, one in self.live.items() if (one.request.deadline or 1e9) <= self.now]
        for name in late:
            self.end(name, DeadlineExceeded)

    async def leave(self, name: str, how: str) -> None:
        if how == "cancel":
            self.engine.cancel(name)
            self.end(name, SegmentCancelled)
        else:
            await self.live[name].stream.aclose()
            self.end(name, None)

    def drive(self, computation: str, action: str) -> None:
        if action == "progress" and self.inner.running[computation].left:
            self.inner.next_event(computation)
            return
        if action == "fail":
            self.inner.fail(computation, StepFailed("x"))
        else:
            self.inner.finish(computation)
        for name in [k for k, one in self.live.items() if one.computation == computation]:
            self.end(name, StepFailed if action == "fail" else FinishedEvent)

    def end(self, name: str, end: type[FinishedEvent] | type[Exception] | None) -> None:
        one = self.live.pop(name)
        one.end = end
        self.ended.append(one)

    def check(self) -> None:
        """What runs is what somebody waits for, each of it once."""
        assert self.inner.running.keys() == {one.computation for one in self.live.values()}
        assert self.engine._consumers.keys() == self.live.keys()

    async def read_all(self) -> None:
        for computation in list(self.inner.running):
            self.drive(computation, "finish")
        for one in self.ended:
            one.heard = [event async for event in one.stream]
            check_heard(one)
        await settle()
        assert (self.engine._shared, self.engine._readers) == ({}, set())


def check_heard(one: Known) -> None:
    """As alone: the tokens of its own request, as far as they came, and one end."""
    if one.end is None:
        assert one.heard == []
        return
    *progress, last = one.heard
    alone, complete = script(one.request), answer(one.request)
    if one.end is FinishedEvent:
        assert isinstance(last, FinishedEvent)
        assert last.hypotheses[0].token_ids == complete
    else:
        assert isinstance(last, FailedEvent)
        assert type(last.error) is one.end
    if one.request.draft:
        drafts = [event for event in progress if isinstance(event, DraftEvent)]
        assert drafts == progress
        first = alone.index(drafts[0]) if drafts else 0
        assert drafts == alone[first : first + len(drafts)]
        assert one.end is not FinishedEvent or not alone or drafts[-1] == alone[-1]
    else:
        told = tuple(t for event in progress if isinstance(event, TokensEvent) for t in event.token_ids)
        assert told == complete[: len(told)]
        assert one.request.stream or progress == []
        assert not (one.end is FinishedEvent and one.request.stream) or told == complete


@settings(max_examples=150)
@given(st.integers(0, 10**9))
def test_everybody_hears_what_it_would_have_heard_alone(seed: int) -> None:
    async def run() -> None:
        world = World(seed)
        for _ in range(40):
            await world.act()
        await world.read_all()

    run_in_virtual_time(run())


def test_the_random_worlds_do_share() -> None:
    """Else the test above would show nothing."""

    async def run(seed: int) -> int:
        world = World(seed)
        for _ in range(40):
            await world.act()
        await world.read_all()
        return world.joins

    assert sum(run_in_virtual_time(run(seed)) for seed in range(10)) > 30
