"""What the async door promises, whatever is behind it: cancel, overload, readers that go away."""

from __future__ import annotations

import asyncio
import gc
import time

import pytest

from model import reference
from service.engine import (
    EngineOverloaded,
    FinishedEvent,
    SegmentCancelled,
    SegmentTooLarge,
    TokensEvent,
)
from tests.builders import tiny_model
from tests.service.engine.conftest import Door
from tests.service.engine.segments import request
from tests.service.engine.thread_door import (
    BEAM,
    ENDLESS,
    SHORT,
    Gate,
    collect,
    failure_of,
    run,
    until,
)


def test_many_segments_at_once_each_get_their_reference_answer(door: Door) -> None:
    model = tiny_model(1).double()

    async def scenario() -> None:
        with door(model) as engine:
            asked = [request((5, 6, n, 3), BEAM if n % 2 else SHORT, stream=n % 3 == 0) for n in range(4, 20)]
            answers = await asyncio.gather(*(collect(engine.submit(one)) for one in asked))
        for one, events in zip(asked, answers, strict=True):
            assert isinstance(events[-1], FinishedEvent)
            best = events[-1].hypotheses[0].token_ids
            if one.options is BEAM:
                assert best == reference.beam(model, one.source_ids, BEAM, 10)[0].token_ids
            else:
                assert list(best) == reference.greedy(model, one.source_ids, 10)
            streamed = [t for event in events if isinstance(event, TokensEvent) for t in event.token_ids]
            assert streamed == (list(best) if one.stream else [])

    run(scenario())


def test_tokens_arrive_while_the_segment_is_still_running(door: Door) -> None:
    async def scenario() -> None:
        model = tiny_model(1)
        gate = Gate(model)
        with door(model) as engine:
            events = engine.submit(request(options=ENDLESS, stream=True))
            for _ in range(3):
                gate.pass_one()
                assert isinstance(await anext(events), TokensEvent)
            assert engine.snapshot().running_segments == 1
            gate.open()
            assert isinstance((await collect(events))[-1], FinishedEvent)

    run(scenario())


def test_what_cannot_be_accepted_raises_at_submit(door: Door) -> None:
    async def scenario() -> None:
        model = tiny_model(1)
        gate = Gate(model)
        with door(model, max_rows=1, max_queue_tokens=10) as engine:
            with pytest.raises(SegmentTooLarge, match="beam_size must be at most 1, got 4"):
                engine.submit(request(options=BEAM))
            with pytest.raises(SegmentTooLarge, match="source_tokens must be at most 64, got 65"):
                engine.submit(request((5,) * 65))
            with pytest.raises(SegmentTooLarge, match="source_tokens must be at most 10, got 11"):
                engine.submit(request((5,) * 11))
            with pytest.raises(ValueError, match=r"source_ids must be in 0\.\.23"):
                engine.submit(request((24, 3)))
            streams = [engine.submit(request(options=SHORT, segment_id="first"))]
            with pytest.raises(ValueError, match="segment_id 'first' is in use"):
                engine.submit(request(options=SHORT, segment_id="first"))
            await until(lambda: engine.snapshot().running_segments == 1)
            streams += [engine.submit(request(options=SHORT)) for _ in range(2)]
            with pytest.raises(EngineOverloaded) as caught:
                engine.submit(request(options=SHORT))
            assert caught.value.retry_after_seconds > 0
            gate.open()
            answers = await asyncio.gather(*map(collect, streams))
        assert all(isinstance(events[-1], FinishedEvent) for events in answers)

    run(scenario())


def test_a_refusal_does_not_wait_for_the_step_at_hand(door: Door) -> None:
    async def scenario() -> None:
        model = tiny_model(1)
        gate = Gate(model)
        with door(model, max_queue_tokens=4) as engine:
            stream = engine.submit(request(options=SHORT))
            await until(lambda: engine.snapshot().running_segments == 1)
            waiting = engine.submit(request(options=SHORT))
            started = time.perf_counter()
            for _ in range(50):
                with pytest.raises(EngineOverloaded):
                    engine.submit(request(options=SHORT))
                engine.snapshot()
            assert time.perf_counter() - started < 2.0  # the step is held all the while
            gate.open()
            await asyncio.gather(collect(stream), collect(waiting))

    run(scenario())


def test_cancelling_ends_the_events_and_frees_the_rows_at_the_next_step(door: Door) -> None:
    async def scenario() -> None:
        model = tiny_model(1)
        gate = Gate(model)
        with door(model) as engine:
            doomed = engine.submit(request(options=ENDLESS, segment_id="doomed"))
            other = engine.submit(request(options=ENDLESS))
            await gate.pass_few(until=lambda: engine.snapshot().running_segments == 2)
            for _ in range(3):
                engine.cancel("doomed")
            engine.cancel("never heard of")
            await gate.pass_few(until=lambda: engine.snapshot().running_segments == 1)
            gate.open()
            assert isinstance(failure_of(await collect(doomed)), SegmentCancelled)
            assert isinstance((await collect(other))[-1], FinishedEvent)
            engine.cancel("doomed")

    run(scenario())


@pytest.mark.parametrize("how", ["close", "drop"])
def test_an_abandoned_stream_frees_its_rows(door: Door, how: str) -> None:
    async def scenario() -> None:
        model = tiny_model(1)
        gate = Gate(model)
        with door(model) as engine:
            stream = engine.submit(request(options=ENDLESS, stream=True))
            gate.pass_one()
            await anext(stream)
            assert engine.snapshot().running_rows == 1
            if how == "close":
                await stream.aclose()
                await stream.aclose()
                assert [event async for event in stream] == []
            else:
                del stream
                gc.collect()
                await asyncio.sleep(0)  # the event loop does the cancelling
            await gate.pass_few(until=lambda: engine.snapshot().running_rows == 0)
            gate.open()
            assert isinstance((await collect(engine.submit(request(options=SHORT))))[-1], FinishedEvent)

    run(scenario())


def test_a_queued_stream_that_is_closed_leaves_the_queue_at_once(door: Door) -> None:
    async def scenario() -> None:
        model = tiny_model(1)
        gate = Gate(model)
        with door(model, max_rows=1) as engine:
            first = engine.submit(request(options=SHORT))
            await until(lambda: engine.snapshot().running_segments == 1)
            second = engine.submit(request(options=SHORT))
            assert engine.snapshot().queue_segments == 1
            await second.aclose()
            assert engine.snapshot().queue_tokens == 0
            gate.open()
            assert isinstance((await collect(first))[-1], FinishedEvent)

    run(scenario())


def test_closing_a_finished_stream_does_not_cancel_the_next_owner_of_its_id(door: Door) -> None:
    async def scenario() -> None:
        with door() as engine:
            first = engine.submit(request(options=SHORT, segment_id="x"))
            await until(lambda: engine.snapshot().running_segments + engine.snapshot().queue_segments == 0)
            second = engine.submit(request(options=SHORT, segment_id="x"))
            await first.aclose()
            assert isinstance((await collect(second))[-1], FinishedEvent)

    run(scenario())


def test_a_reader_that_stops_waiting_loses_nothing_and_cancels_nothing(door: Door) -> None:
    async def scenario() -> None:
        model = tiny_model(1)
        gate = Gate(model)
        with door(model) as engine:
            stream = engine.submit(request(options=SHORT, stream=True))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(stream), 0.05)
            gate.open()
            events = await collect(stream)
        assert isinstance(events[-1], FinishedEvent)
        streamed = [t for event in events if isinstance(event, TokensEvent) for t in event.token_ids]
        assert tuple(streamed) == events[-1].hypotheses[0].token_ids

    run(scenario())


def test_closing_a_stream_ends_the_wait_of_its_reader(door: Door) -> None:
    async def scenario() -> None:
        model = tiny_model(1)
        gate = Gate(model)
        with door(model) as engine:
            stream = engine.submit(request(options=ENDLESS))
            reader = asyncio.create_task(collect(stream))
            await gate.wait_for_step()
            await stream.aclose()
            assert await reader == []
            gate.open()

    run(scenario())
