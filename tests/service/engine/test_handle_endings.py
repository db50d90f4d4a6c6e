"""What the door promises about endings: draining, closing, deadlines, failures, rest."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch

from model.network import EagerNetwork
from service.engine import (
    DeadlineExceeded,
    EngineConfig,
    EngineDraining,
    EngineHandle,
    FailedEvent,
    FinishedEvent,
    SegmentCancelled,
    SegmentEvents,
    StepFailed,
)
from service.engine.process_engine import ProcessEngine
from service.engine.thread_engine import ThreadEngine
from tests.builders import tiny_model
from tests.service.engine.conftest import Door
from tests.service.engine.segments import request
from tests.service.engine.thread_door import (
    ENDLESS,
    ONE_TOKEN,
    SHORT,
    Gate,
    collect,
    failure_of,
    run,
    running,
    until,
)


def is_closing(engine: EngineHandle) -> bool:
    if isinstance(engine, ThreadEngine):
        return engine._closing
    assert isinstance(engine, ProcessEngine)
    return engine._supervisor.is_closing


def test_draining_finishes_what_was_accepted_and_refuses_what_is_new(door: Door) -> None:
    async def scenario() -> None:
        model = tiny_model(1)
        gate = Gate(model)
        with door(model, max_rows=2) as engine:
            streams = [engine.submit(request(options=SHORT)) for _ in range(5)]
            await gate.wait_for_step()
            drains = [asyncio.create_task(engine.drain()) for _ in range(2)]
            await asyncio.sleep(0)
            with pytest.raises(EngineDraining):
                engine.submit(request(options=SHORT))
            assert engine.snapshot().draining
            gate.open()
            await asyncio.gather(*drains)
            assert engine.snapshot().running_segments == engine.snapshot().queue_segments == 0
            answers = await asyncio.gather(*map(collect, streams))
            assert all(isinstance(events[-1], FinishedEvent) for events in answers)
            await engine.drain()

    run(scenario())


def test_giving_up_a_drain_does_not_stop_the_engine(door: Door) -> None:
    async def scenario() -> None:
        model = tiny_model(1)
        gate = Gate(model)
        with door(model) as engine:
            stream = engine.submit(request(options=SHORT))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(engine.drain(), 0.05)
            gate.open()
            assert isinstance((await collect(stream))[-1], FinishedEvent)
            await engine.drain()

    run(scenario())


def test_closing_fails_what_has_not_ended(door: Door) -> None:
    async def scenario() -> None:
        model = tiny_model(1)
        gate = Gate(model)
        with door(model, max_rows=1) as engine:
            streams = [engine.submit(request(options=ENDLESS)) for _ in range(3)]
            await gate.wait_for_step()
            closing = asyncio.create_task(asyncio.to_thread(engine.close))
            await until(lambda: is_closing(engine))
            gate.pass_one()
            await closing
            for stream in streams:
                assert isinstance(failure_of(await collect(stream)), EngineDraining)
            with pytest.raises(EngineDraining):
                engine.submit(request(options=SHORT))
            await engine.drain()
            engine.close()
            assert engine.snapshot().heartbeat_seconds == float("inf")

    run(scenario())


def test_a_deadline_ends_running_and_queued_segments(door: Door) -> None:
    async def scenario() -> None:
        model = tiny_model(1)
        gate = Gate(model)
        with door(model, max_rows=1) as engine:
            deadline = time.monotonic() + 0.1
            first = engine.submit(request(options=ENDLESS, deadline=deadline))
            second = engine.submit(request(options=ENDLESS, deadline=deadline))
            await gate.wait_for_step()
            await asyncio.sleep(0.12)
            gate.open()
            assert isinstance(failure_of(await collect(first)), DeadlineExceeded)
            assert isinstance(failure_of(await collect(second)), DeadlineExceeded)
            assert engine.snapshot().running_rows == 0

    run(scenario())


def test_a_failed_step_fails_its_own_segments_and_the_loop_lives_on(door: Door) -> None:
    async def scenario() -> None:
        model = tiny_model(1)
        gate = Gate(model)
        with door(model, max_rows=2) as engine:
            streams = [engine.submit(request(options=SHORT)) for _ in range(3)]
            await gate.wait_for_step()
            await until(lambda: engine.snapshot().running_segments > 0)
            hit = engine.snapshot().running_segments
            gate.failure = RuntimeError("device lost")
            gate.open()
            answers = await asyncio.gather(*map(collect, streams))
        assert [isinstance(events[-1], FailedEvent) for events in answers] == [True] * hit + [False] * (
            3 - hit
        )
        assert isinstance(failure_of(answers[0]), StepFailed)

    run(scenario())


def test_a_defect_in_the_loop_fails_who_waits_instead_of_hanging(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise AssertionError("a defect")

    async def scenario() -> None:
        engine = ThreadEngine(EagerNetwork(tiny_model(1)), EngineConfig())
        monkeypatch.setattr(engine._engine, "_measure", broken)
        try:
            assert isinstance(failure_of(await collect(engine.submit(request()))), StepFailed)
            assert isinstance(failure_of(await collect(engine.submit(request()))), StepFailed)
        finally:
            engine.close()

    run(scenario())


def test_an_observer_that_raises_keeps_nobody_waiting(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def __getattr__(self, _: str) -> Callable[..., None]:
            def broken(*_: object) -> None:
                raise AssertionError("an observer must not raise")

            return broken

    async def scenario() -> None:
        engine = ThreadEngine(EagerNetwork(tiny_model(1)), EngineConfig(), Broken())
        try:
            assert isinstance((await collect(engine.submit(request(options=SHORT))))[-1], FinishedEvent)
            late = request(options=SHORT, deadline=time.monotonic() - 1)
            assert isinstance(failure_of(await collect(engine.submit(late))), DeadlineExceeded)
            stream = engine.submit(request(options=ENDLESS, segment_id="gone"))
            engine.cancel("gone")
            assert isinstance(failure_of(await collect(stream)), SegmentCancelled)
        finally:
            engine.close()

    run(scenario())
    assert "an observer raised" in caplog.text


def test_an_idle_engine_sleeps() -> None:
    async def scenario() -> None:
        with running() as engine:
            await collect(engine.submit(request(options=SHORT)))
            turns, inner = 0, engine._engine
            original = inner.step

            def counted() -> Any:
                nonlocal turns
                turns += 1
                return original()

            inner.step = counted  # type: ignore[method-assign]
            await asyncio.sleep(0.2)
            assert turns == 0
            assert engine.snapshot().heartbeat_seconds == 0.0

    run(scenario())


def test_events_of_a_closed_loop_trouble_nobody(door: Door) -> None:
    model = tiny_model(1)
    gate = Gate(model)
    with door(model) as engine:
        kept: list[SegmentEvents] = []

        async def leave() -> None:
            kept.append(engine.submit(request(options=SHORT, stream=True)))
            await gate.wait_for_step()

        run(leave())  # this event loop is closed when the events come
        gate.open()

        async def stay() -> None:
            assert isinstance((await collect(engine.submit(request(options=SHORT))))[-1], FinishedEvent)

        run(stay())


def test_the_engine_thread_uses_the_configured_number_of_threads(door: Door) -> None:
    async def scenario() -> None:
        model, seen = tiny_model(1), list[int]()
        step = model.decode_step

        def watched(*arguments: Any) -> torch.Tensor:
            seen.append(torch.get_num_threads())
            assert torch.is_inference_mode_enabled()
            return step(*arguments)

        model.decode_step = watched  # type: ignore[method-assign]
        with door(model, num_threads=2) as engine:
            await collect(engine.submit(request(options=ONE_TOKEN)))
        assert set(seen) == {2}

    run(scenario())
