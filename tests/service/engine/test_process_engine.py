"""An engine whose child dies: what was accepted is answered all the same, each as if nothing had been."""

from __future__ import annotations

import asyncio
import signal
import time
from multiprocessing import Pipe

import pytest

from model import reference
from model.decoding import DecodingOptions
from model.network import EagerNetwork
from service.engine import (
    DeadlineExceeded,
    EngineConfig,
    EngineDraining,
    EngineUnavailable,
    Event,
    FinishedEvent,
    SegmentCancelled,
    StepFailed,
    StreamBroken,
    TokensEvent,
    restart_policy,
)
from service.engine.process_engine import ProcessEngine, _repeatable
from service.engine.supervisor import StartError
from service.engine.thread_engine import ThreadEngine
from tests.builders import tiny_model
from tests.service.engine.by_hand import Ear
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
from tests.service.engine.worker_door import Nursery, nursed

POISON = 23


def tokens_of(events: list[Event]) -> tuple[int, ...]:
    return tuple(t for event in events if isinstance(event, TokensEvent) for t in event.token_ids)


def test_killed_again_and_again_it_answers_all_and_streams_nothing_twice() -> None:
    model = tiny_model(1).double()
    asked = [request((5, 6, n, 3), (BEAM, SHORT, ENDLESS)[n % 3], stream=n % 2 == 0) for n in range(4, 20)]

    async def scenario() -> None:
        gate = Gate(model)
        with nursed(model, ear := Ear()) as (engine, nursery):
            streams = [engine.submit(one) for one in asked]
            answers = asyncio.gather(*map(collect, streams))
            for death in range(1, 4):
                for _ in range(2):
                    gate.pass_one()
                    await gate.wait_for_step()
                nursery.kill()
                await until(lambda death=death: len(nursery.children) == death + 1)  # type: ignore[misc]
            gate.open()
            for one, events in zip(asked, await answers, strict=True):
                assert isinstance(events[-1], FinishedEvent)
                best = events[-1].hypotheses[0].token_ids
                if one.options is BEAM:
                    assert best == reference.beam(model, one.source_ids, BEAM, 10)[0].token_ids
                elif one.options is SHORT:
                    assert list(best) == reference.greedy(model, one.source_ids, 10)
                assert tokens_of(events) == (best if one.stream else ())
            assert ear.facts.count(("restarted",)) == 3
            assert sum(fact[0] == "finished" for fact in ear.facts) == len(asked)
            seen = engine.snapshot()
            assert (seen.queue_tokens, seen.running_rows, seen.heartbeat_seconds) == (0, 0, 0.0)

    run(scenario())


def test_a_segment_that_kills_the_engine_fails_alone_and_the_others_are_answered() -> None:
    async def scenario() -> None:
        with nursed(None, ear := Ear()) as (engine, nursery):
            nursery.poison(POISON)
            streams = [engine.submit(request((5, n, 3), SHORT)) for n in range(4, 12)]
            bad = engine.submit(request((5, POISON, 3), SHORT))
            streams += [engine.submit(request((5, n, 3), SHORT)) for n in range(12, 20)]
            error = failure_of(await collect(bad))
            assert isinstance(error, StepFailed)
            for events in await asyncio.gather(*map(collect, streams)):
                assert isinstance(events[-1], FinishedEvent)
            assert 2 <= ear.facts.count(("restarted",)) <= 4
            assert ear.facts.count(("failed", "step")) == 1

    run(scenario())


def test_a_death_is_noticed_at_once() -> None:
    async def scenario() -> None:
        model = tiny_model(1)
        gate = Gate(model)
        with nursed(model) as (engine, nursery):
            stream = engine.submit(request(options=SHORT))
            await gate.wait_for_step()
            killed = time.monotonic()
            nursery.kill()
            await until(lambda: len(nursery.children) == 2)
            assert time.monotonic() - killed < 1.0  # what was promised
            gate.open()
            assert isinstance((await collect(stream))[-1], FinishedEvent)

    run(scenario())


def test_a_death_with_nothing_to_do_is_made_good_before_anybody_asks() -> None:
    async def scenario() -> None:
        with nursed() as (engine, nursery):
            nursery.kill()
            await until(lambda: len(nursery.children) == 2)
            assert isinstance((await collect(engine.submit(request())))[-1], FinishedEvent)

    run(scenario())


def test_a_child_that_has_work_and_says_nothing_is_replaced() -> None:
    async def scenario() -> None:
        model = tiny_model(1)
        gate = Gate(model)
        with nursed(model, stuck_seconds=0.5) as (engine, nursery):
            stream = engine.submit(request(options=SHORT))
            await gate.wait_for_step()
            await until(lambda: engine.snapshot().heartbeat_seconds > 0.1)
            await until(lambda: len(nursery.children) == 2)
            gate.open()
            assert isinstance((await collect(stream))[-1], FinishedEvent)

    run(scenario())


def test_a_child_without_work_may_be_silent_for_ever() -> None:
    async def scenario() -> None:
        with nursed(stuck_seconds=0.05) as (engine, nursery):
            await asyncio.sleep(0.3)
            assert len(nursery.children) == 1
            assert engine.snapshot().heartbeat_seconds == 0.0

    run(scenario())


def test_while_a_child_starts_segments_are_accepted_cancelled_and_late() -> None:
    async def scenario() -> None:
        with nursed(None, ear := Ear()) as (engine, nursery):
            nursery.may_load.clear()
            nursery.kill()
            await until(lambda: len(nursery.children) == 2)
            assert engine.snapshot().is_available
            gone = engine.submit(request(segment_id="gone"))
            late = engine.submit(request(deadline=time.monotonic() + 0.05))
            kept = engine.submit(request(options=SHORT, stream=True))
            engine.cancel("gone")
            assert isinstance(failure_of(await collect(gone)), SegmentCancelled)
            assert isinstance(failure_of(await collect(late)), DeadlineExceeded)
            assert engine.snapshot().queue_segments == 1
            nursery.may_load.set()
            assert isinstance((await collect(kept))[-1], FinishedEvent)
        assert [fact for fact in ear.facts if fact[0] in ("cancelled", "failed")] == [
            ("cancelled", "queued"),
            ("failed", "deadline"),
        ]

    run(scenario())


def test_a_drain_outlives_the_child() -> None:
    async def scenario() -> None:
        model = tiny_model(1)
        gate = Gate(model)
        with nursed(model) as (engine, nursery):
            stream = engine.submit(request(options=SHORT))
            await gate.wait_for_step()
            draining = asyncio.create_task(engine.drain())
            await asyncio.sleep(0)
            nursery.kill()
            gate.open()
            await draining
            assert isinstance((await collect(stream))[-1], FinishedEvent)

    run(scenario())


def test_a_stream_that_another_model_continues_is_ended_and_not_falsified() -> None:
    async def scenario() -> None:
        model = tiny_model(1)
        gate = Gate(model)
        with nursed(model) as (engine, nursery):
            stream = engine.submit(request(options=ENDLESS, stream=True))
            other = engine.submit(request(options=ENDLESS))
            for _ in range(3):
                gate.pass_one()
                await anext(stream)
            nursery.model = tiny_model(4)
            nursery.kill()
            assert isinstance(failure_of(await collect(stream)), StreamBroken)
            assert isinstance((await collect(other))[-1], FinishedEvent)
            gate.open()

    run(scenario())


def test_when_it_cannot_be_started_everybody_is_told_and_attempts_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(restart_policy, "FIRST_DELAY_SECONDS", 0.001)
    monkeypatch.setattr(restart_policy, "MAX_DELAY_SECONDS", 0.01)

    async def scenario() -> None:
        model = tiny_model(1)
        gate = Gate(model)
        with nursed(model, max_rows=1) as (engine, nursery):
            streams = [engine.submit(request(options=SHORT)) for _ in range(3)]
            await gate.wait_for_step()
            nursery.is_failing = True
            nursery.kill()
            for events in await asyncio.gather(*map(collect, streams)):
                assert isinstance(failure_of(events), EngineUnavailable)
            assert not engine.snapshot().is_available
            with pytest.raises(EngineUnavailable) as caught:
                engine.submit(request())
            assert caught.value.retry_after_seconds >= 1.0
            nursery.is_failing = False
            await until(lambda: engine.snapshot().is_available)
            gate.open()
            assert isinstance((await collect(engine.submit(request(options=SHORT))))[-1], FinishedEvent)

    run(scenario())


def test_a_child_with_another_bundle_is_not_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restart_policy, "FIRST_DELAY_SECONDS", 0.001)

    async def scenario() -> None:
        with nursed() as (engine, nursery):
            nursery.digest = "another"
            nursery.kill()
            await until(lambda: not engine.snapshot().is_available)
            nursery.digest = "digest"
            await until(lambda: engine.snapshot().is_available)
            assert isinstance((await collect(engine.submit(request(options=SHORT))))[-1], FinishedEvent)

    run(scenario())


def test_if_the_first_child_does_not_start_that_is_the_end_of_it() -> None:
    nursery = Nursery(tiny_model(1), EngineConfig())
    nursery.is_failing = True
    engine = ProcessEngine(nursery, EngineConfig())
    with pytest.raises(StartError, match="died before its model was loaded"):
        engine.wait_until_ready()

    async def scenario() -> None:
        with pytest.raises(EngineDraining):
            engine.submit(request())

    run(scenario())
    engine.close()
    assert len(nursery.children) == 1


class StillbornChild:
    """Its pipe has ended; so has it, or it is about to."""

    def __init__(self, exit_status: int | None) -> None:
        self.connection, theirs = Pipe()
        theirs.close()
        self._ended, self.exit_status = exit_status is not None, exit_status

    def kill(self) -> None:
        if not self._ended:
            self._ended, self.exit_status = True, -signal.SIGKILL

    def wait(self, timeout_seconds: float) -> bool:
        return self._ended


@pytest.mark.parametrize(
    ("exit_status", "words"),
    [
        (-9, "before its model was loaded: it was killed, as the kernel does where memory runs out"),
        (1, "before its model was loaded, with exit status 1; what it has written stands in the log"),
        (None, "before its model was loaded; what it has written stands in the log"),  # killed by us
    ],
)
def test_why_the_first_child_did_not_start_is_said_as_far_as_it_is_known(
    exit_status: int | None, words: str
) -> None:
    engine = ProcessEngine(lambda: StillbornChild(exit_status), EngineConfig())
    with pytest.raises(StartError, match=words):
        engine.wait_until_ready()
    engine.close()


def test_closing_while_the_child_loads_does_not_wait_for_it() -> None:
    nursery = Nursery(tiny_model(1), EngineConfig())
    nursery.may_load.clear()
    engine = ProcessEngine(nursery, EngineConfig())
    engine.close()
    nursery.may_load.set()
    with pytest.raises(EngineDraining):
        engine.wait_until_ready()


def test_the_observer_hears_the_same_facts_as_from_a_thread() -> None:
    asked = [request((5, 6, n, 3), BEAM if n % 2 else SHORT) for n in range(4, 10)]
    model = tiny_model(1)
    thread_ear, process_ear = Ear(), Ear()

    async def ask(engine: ThreadEngine | ProcessEngine) -> None:
        for one in asked:
            await collect(engine.submit(one))
        endless = engine.submit(request(options=ENDLESS, stream=True))
        await anext(endless)
        await endless.aclose()
        await until(lambda: engine.snapshot().running_rows == 0)

    def facts(ear: Ear) -> list[tuple[object, ...]]:
        """Without times, and without the steps of the segment that was cancelled at some time."""
        last = max(place for place, fact in enumerate(ear.facts) if fact[0] == "finished")
        kept = [*ear.facts[: last + 1], *(f for f in ear.facts[last + 1 :] if f[0] == "cancelled")]
        return [fact[:4] for fact in kept]

    async def scenario() -> None:
        thread = ThreadEngine(EagerNetwork(model), EngineConfig(max_rows=8), thread_ear)
        await ask(thread)
        thread.close()
        with nursed(model, process_ear) as (engine, _):
            await ask(engine)

    run(scenario())
    assert facts(process_ear) == facts(thread_ear)
    assert facts(process_ear)[-1] == ("cancelled", "running")


def test_an_observer_that_raises_keeps_nobody_waiting() -> None:
    class Broken(Ear):
        def step(self, *_: object) -> None:
            raise AssertionError("an observer must not raise")

    async def scenario() -> None:
        with nursed(None, Broken()) as (engine, _):
            assert isinstance((await collect(engine.submit(request(options=SHORT))))[-1], FinishedEvent)

    run(scenario())


def test_random_choices_are_given_a_seed_so_that_they_can_be_made_again() -> None:
    sample = request(options=DecodingOptions(strategy="sample"))
    seeds = {_repeatable(sample).options.seed for _ in range(20)}
    assert None not in seeds
    assert len(seeds) == 20
    seeded = request(options=DecodingOptions(strategy="sample", seed=7))
    assert _repeatable(seeded) is seeded
    assert _repeatable(greedy := request(options=SHORT)) is greedy
