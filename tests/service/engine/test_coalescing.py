"""Shared computations: one for all who ask the same, and nobody can tell."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from model.decoding import DecodingOptions
from service.engine.coalescing import CoalescingEngine
from service.engine.errors import (
    DeadlineExceeded,
    EngineDraining,
    EngineError,
    EngineOverloaded,
    SegmentCancelled,
    StepFailed,
)
from service.engine.event_stream import EventStream
from service.engine.request import DraftEvent, Event, FailedEvent, FinishedEvent, SegmentTimings, TokensEvent
from tests.service.engine.scripted_engine import ScriptedEngine, answer
from tests.service.engine.segments import request
from tests.service.engine.virtual_time import run_in_virtual_time, settle

SAMPLED = DecodingOptions(strategy="sample")
SEEDED = DecodingOptions(strategy="sample", seed=7)


class Door:
    """A coalescing engine around a scripted one, and how often somebody joined."""

    def __init__(self) -> None:
        self.inner, self.joins = ScriptedEngine(), 0
        self.engine = CoalescingEngine(self.inner, self._count)

    def _count(self) -> None:
        self.joins += 1

    def submit(self, name: str, **wishes: Any) -> EventStream:
        return self.engine.submit(request(segment_id=name, **wishes))

    @property
    def running(self) -> list[str]:
        return list(self.inner.running)


def scenario(body: Callable[[Door], Coroutine[Any, Any, None]]) -> None:
    """Run in virtual time; afterwards nothing may run that nobody waits for."""

    async def run() -> None:
        door = Door()
        await body(door)
        await settle()
        assert (door.engine._consumers, door.engine._shared, door.engine._readers) == ({}, {}, set())

    run_in_virtual_time(run())


async def rest(events: EventStream) -> list[Event]:
    return [event async for event in events]


def failure(events: list[Event]) -> type[EngineError]:
    assert isinstance(events[-1], FailedEvent)
    return type(events[-1].error)


def tokens(events: list[Event]) -> tuple[int, ...]:
    return tuple(token for event in events if isinstance(event, TokensEvent) for token in event.token_ids)


def test_the_same_request_is_computed_once_and_answered_to_everybody() -> None:
    async def body(door: Door) -> None:
        streams = [door.submit(name) for name in "abc"]
        assert (len(door.inner.submitted), door.joins) == (1, 2)
        door.inner.finish(door.running[0])
        events = [await rest(stream) for stream in streams]
        assert events[0] == events[1] == events[2]
        (finished,) = events[0]
        assert isinstance(finished, FinishedEvent)
        door.submit("d")  # what has ended is not shared any more
        assert (len(door.inner.submitted), door.joins) == (2, 2)
        door.engine.cancel("d")

    scenario(body)


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ({}, {"source_ids": (5, 3)}, False),
        ({}, {"options": DecodingOptions()}, False),
        ({"options": SAMPLED}, {"options": SAMPLED}, False),
        ({"options": SEEDED}, {"options": SEEDED}, True),
        ({"stream": True}, {}, True),
        ({}, {"stream": True}, False),
        ({"stream": True}, {"stream": True, "draft": True}, False),
        ({"stream": True, "draft": True}, {}, True),
        ({"priority": 3}, {"priority": 3}, True),
        ({"priority": 3}, {"priority": 2}, True),
        ({"priority": 2}, {"priority": 3}, False),
        ({"deadline": 5.0}, {"deadline": 9.0}, True),
        ({}, {"deadline": 9.0}, True),
        ({"accepted_at": 1.0}, {"accepted_at": 2.0}, True),
        ({"accepted_at": 1.0}, {}, True),
        ({}, {"accepted_at": 1.0}, False),
        ({"accepted_at": 2.0}, {"accepted_at": 1.0}, False),
    ],
)
def test_who_joins_whom(first: dict[str, Any], second: dict[str, Any], shared: bool) -> None:
    async def body(door: Door) -> None:
        streams = [door.submit("a", **first), door.submit("b", **second)]
        assert (len(door.running), door.joins) == ((1, 1) if shared else (2, 0))
        for stream in streams:
            await stream.aclose()
        assert door.running == []

    scenario(body)


def test_who_comes_late_hears_first_what_has_been_told() -> None:
    async def body(door: Door) -> None:
        first = door.submit("a", stream=True)
        (name,) = door.running
        door.inner.next_event(name)
        door.inner.next_event(name)
        await settle()
        second, silent = door.submit("b", stream=True), door.submit("c")
        told = await anext(second)
        assert isinstance(told, TokensEvent)
        assert told.token_ids == answer(request())[:4]
        door.inner.finish(name)
        assert tokens(await rest(first)) == tokens([told, *await rest(second)]) == answer(request())
        assert [type(event) for event in await rest(silent)] == [FinishedEvent]

    scenario(body)


def test_who_joins_a_draft_late_hears_the_latest_only() -> None:
    async def body(door: Door) -> None:
        first = door.submit("a", stream=True, draft=True)
        (name,) = door.running
        door.inner.next_event(name)
        door.inner.next_event(name)
        await settle()
        second = door.submit("b", stream=True, draft=True)
        door.inner.finish(name)
        drafts = [event for event in await rest(first) if isinstance(event, DraftEvent)]
        later = [event for event in await rest(second) if isinstance(event, DraftEvent)]
        assert later == drafts[1:]

    scenario(body)


def test_times_are_counted_from_each_ones_own_submission() -> None:
    async def body(door: Door) -> None:
        first = door.submit("a")
        await asyncio.sleep(6.0)
        second = door.submit("b")
        await asyncio.sleep(2.0)
        door.inner.finish(door.running[0])
        timings = [(await rest(stream))[-1].timings for stream in (first, second)]  # type: ignore[union-attr]
        assert timings[0] == SegmentTimings(2.0, 4.0, 8.0)
        assert timings[1] == SegmentTimings(0.0, 0.0, 2.0)

    scenario(body)


@pytest.mark.parametrize("leaver", ["a", "b"])
@pytest.mark.parametrize("how", ["cancel", "close", "drop"])
def test_whoever_leaves_the_others_go_on(leaver: str, how: str) -> None:
    async def body(door: Door) -> None:
        streams = {name: door.submit(name) for name in "ab"}
        stream = streams.pop(leaver)
        if how == "cancel":
            door.engine.cancel(leaver)
            door.engine.cancel(leaver)
            assert failure(await rest(stream)) is SegmentCancelled
        elif how == "close":
            await stream.aclose()
            assert await rest(stream) == []
        del stream
        gc.collect()
        await settle()
        assert (len(door.running), door.inner.cancelled) == (1, [])
        (other,) = streams.values()
        again = door.submit(leaver)  # its id is free again, whether or not the computation had it first
        door.inner.finish(door.running[0])
        for stream in (other, again):
            assert [type(event) for event in await rest(stream)] == [FinishedEvent]

    scenario(body)


def test_a_stream_that_is_closed_late_leaves_the_next_holder_of_its_id_alone() -> None:
    async def body(door: Door) -> None:
        first = door.submit("a", deadline=3.0)
        door.engine.cancel("a")
        second = door.submit("a", deadline=7.0)
        await first.aclose()
        await asyncio.sleep(5.0)
        door.inner.finish(door.running[0])
        assert [type(event) for event in await rest(second)] == [FinishedEvent]

    scenario(body)


def test_when_the_last_has_left_the_computation_is_cancelled_and_not_joined_any_more() -> None:
    async def body(door: Door) -> None:
        first, second = door.submit("a"), door.submit("b")
        (name,) = door.running
        await first.aclose()
        assert door.inner.cancelled == []
        door.engine.cancel("b")
        assert door.inner.cancelled == [name]
        third = door.submit("c")
        assert len(door.running) == 1
        door.inner.finish(door.running[0])
        assert failure(await rest(second)) is SegmentCancelled
        assert [type(event) for event in await rest(third)] == [FinishedEvent]

    scenario(body)


def test_each_ones_own_deadline_ends_it_and_the_others_go_on() -> None:
    async def body(door: Door) -> None:
        soon, late, never = door.submit("a", deadline=5.0), door.submit("b", deadline=9.0), door.submit("c")
        loop = asyncio.get_running_loop()
        assert failure(await rest(soon)) is DeadlineExceeded
        assert loop.time() == 5.0
        assert failure(await rest(late)) is DeadlineExceeded
        assert loop.time() == 9.0
        assert (len(door.running), door.inner.cancelled) == (1, [])
        door.inner.finish(door.running[0])
        assert [type(event) for event in await rest(never)] == [FinishedEvent]

    scenario(body)


def test_the_last_deadline_ends_the_computation() -> None:
    async def body(door: Door) -> None:
        streams = [door.submit("a", deadline=5.0), door.submit("b", deadline=9.0)]
        assert [failure(await rest(stream)) for stream in streams] == [DeadlineExceeded] * 2
        assert len(door.inner.cancelled) == 1

    scenario(body)


def test_a_failure_is_everybodys() -> None:
    async def body(door: Door) -> None:
        streams = [door.submit(name) for name in "ab"]
        door.inner.fail(door.running[0], StepFailed("x"))
        assert [failure(await rest(stream)) for stream in streams] == [StepFailed] * 2

    scenario(body)


def test_an_engine_that_breaks_off_fails_whoever_waits() -> None:
    async def body(door: Door) -> None:
        stream = door.submit("a")
        door.inner.running.popitem()[1].mailbox.put(None)
        assert failure(await rest(stream)) is StepFailed

    scenario(body)


def test_what_the_engine_refuses_is_refused_and_leaves_nothing_behind() -> None:
    async def body(door: Door) -> None:
        door.inner.refuse = EngineOverloaded(1.0)
        with pytest.raises(EngineOverloaded):
            door.submit("a")
        door.inner.refuse = None
        stream = door.submit("a")
        with pytest.raises(ValueError, match="'a' is in use"):
            door.submit("a")
        # Joining asks nothing of a full queue.
        door.inner.refuse = EngineOverloaded(1.0)
        await door.submit("b").aclose()
        await stream.aclose()

    scenario(body)


def test_draining_finishes_what_was_accepted_and_takes_nobody_not_even_to_join() -> None:
    async def body(door: Door) -> None:
        stream = door.submit("a")
        draining = asyncio.ensure_future(door.engine.drain())
        await settle()
        with pytest.raises(EngineDraining):
            door.submit("b")
        assert not draining.done()
        door.inner.finish(door.running[0])
        await draining
        assert [type(event) for event in await rest(stream)] == [FinishedEvent]

    scenario(body)


def test_closing_fails_what_has_not_ended() -> None:
    async def body(door: Door) -> None:
        stream = door.submit("a")
        door.engine.close()
        assert failure(await rest(stream)) is EngineDraining
        with pytest.raises(EngineDraining):
            door.submit("b")

    scenario(body)
    assert Door().engine.snapshot() == ScriptedEngine().snapshot()
