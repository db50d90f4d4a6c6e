"""From one network to another while segments run: every answer is what it would have been, and none waits."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import Any

import pytest

from model.decoding import Hypothesis
from model.native.library import NativeUnavailable
from model.network import EagerNetwork, Network
from service.engine import EngineConfig, EngineHandle, FinishedEvent, TokensEvent
from service.engine.errors import StepFailed
from service.engine.process_engine import ProcessEngine
from service.engine.runner import Runner
from service.engine.thread_engine import ThreadEngine
from service.engine.worker import serve_network
from tests.builders import tiny_model
from tests.service.engine.by_hand import KINDS, MODEL, answer_of, engine, error_of
from tests.service.engine.segments import request
from tests.service.engine.thread_door import BEAM, ENDLESS, SECONDS, SHORT, collect, run, until
from tests.service.engine.worker_door import ThreadChild, started_with

SOURCES = [(5, 6, n, 3) for n in range(4, 12)]


class FasterNetwork(EagerNetwork):
    """Answers what the eager one does, and says that it is another."""

    path = "faster"  # type: ignore[assignment]


def tokens(hypotheses: tuple[Hypothesis, ...]) -> list[tuple[int, ...]]:
    return [hypothesis.token_ids for hypothesis in hypotheses]


def runner() -> Runner:
    return Runner(FasterNetwork(MODEL))


@pytest.mark.parametrize("options", KINDS)
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_answers_are_those_of_an_engine_that_never_changes(options: Any, steps: int) -> None:
    asked = [replace(request(source, options), segment_id=str(source)) for source in SOURCES]
    whole = engine(max_rows=64)
    for one in asked:
        whole.submit(one)
    expected = whole.run_until_idle()
    changing = engine(max_rows=64)
    for one in asked[:4]:
        changing.submit(one)
    told = [emission for _ in range(steps) for emission in changing.step()]
    changing.change_over(runner())
    for one in asked[4:]:
        changing.submit(one)
    told += changing.run_until_idle()
    for one in asked:
        assert tokens(answer_of(told, one.segment_id)) == tokens(answer_of(expected, one.segment_id))


def test_who_runs_stays_and_who_joins_goes_to_the_new_one_until_only_that_is_left() -> None:
    one, new = engine(), runner()
    old = one._runner
    first = one.submit(request(SOURCES[0], KINDS[2]))
    one.step()
    one.change_over(new)
    second = one.submit(request(SOURCES[1], KINDS[2]))
    one.step()
    assert (list(old.keys), list(new.keys)) == ([first.key], [second.key])
    assert one.path == "faster"
    assert one.snapshot().running_segments == 2
    assert one._runner.num_rows == 8
    one.run_until_idle()
    one.submit(request(SOURCES[2]))
    one.step()
    assert one._runner is new


def test_streams_are_whole_over_a_change() -> None:
    one = engine(max_rows=64)
    early = one.submit(request(SOURCES[0], KINDS[2], stream=True))
    told = one.step()
    one.change_over(runner())
    late = one.submit(request(SOURCES[1], KINDS[1], stream=True))
    told += one.run_until_idle()
    for segment in (early, late):
        own = [emission.event for emission in told if emission.segment is segment]
        streamed = [event.token_ids for event in own if isinstance(event, TokensEvent)]
        (best, *_) = answer_of(told, segment.request.segment_id)
        assert sum(streamed, ()) == best.token_ids


def test_cancelling_reaches_both_sides() -> None:
    one = engine()
    for segment_id in ("old", "new"):
        one.submit(request(SOURCES[0], KINDS[2], segment_id=segment_id))
        one.step()
        if segment_id == "old":
            one.change_over(runner())
    one.cancel("old")
    one.step()
    assert one._runner.num_rows == 4
    one.cancel("new")
    one.step()
    assert (one._runner.num_rows, one.is_idle) == (0, True)


def test_a_step_that_fails_on_one_side_fails_all_that_run_and_nobody_waits() -> None:
    one, new = engine(), runner()
    one.submit(request(SOURCES[0], KINDS[2], segment_id="old"))
    one.step()
    one.change_over(new)
    one.submit(request(SOURCES[1], KINDS[2], segment_id="new"))
    one.step()
    fail = pytest.MonkeyPatch()
    fail.setattr(new._search, "step", lambda: 1 / 0)
    told = one.step()
    fail.undo()
    assert {e.segment.request.segment_id for e in told} == {"old", "new"}
    assert all(isinstance(error_of(e), StepFailed) for e in told)
    again = one.submit(request(SOURCES[2], segment_id="again"))
    assert answer_of(one.run_until_idle(), again.request.segment_id)


class Maker:
    """Makes the network to change over to, once it may."""

    def __init__(self, network: Network | Exception) -> None:
        self._network, self.may = network, threading.Event()

    def __call__(self) -> Network:
        assert self.may.wait(SECONDS)
        if isinstance(self._network, Exception):
            raise self._network
        return self._network


def behind(backing: str, maker: Maker) -> EngineHandle:
    model, config = tiny_model(1), EngineConfig(max_rows=8)
    if backing == "thread":
        return ThreadEngine(EagerNetwork(model), config, make_faster=maker)
    started = started_with(EagerNetwork(model), make_faster=maker)
    launched = ProcessEngine(lambda: ThreadChild(lambda c: serve_network(c.theirs, started, config)), config)
    launched.wait_until_ready()
    return launched


@pytest.mark.parametrize("backing", ["thread", "process"])
def test_traffic_goes_on_through_a_change_with_the_same_tokens(backing: str) -> None:
    maker = Maker(FasterNetwork(tiny_model(1)))
    asked = [request(source, options) for source in SOURCES for options in (SHORT, BEAM)]

    async def answers(door: EngineHandle) -> list[Any]:
        ended = [await collect(door.submit(one)) for one in asked]
        return [events[-1].hypotheses for events in ended if isinstance(events[-1], FinishedEvent)]

    async def scenario() -> None:
        door = behind(backing, maker)
        try:
            assert door.snapshot().path == "eager"
            before = await answers(door)
            endless = door.submit(request(options=ENDLESS, stream=True))
            first = await anext(endless)
            maker.may.set()
            during = [await collect(door.submit(request(options=SHORT)))]
            streamed = [first, *await collect(endless)]
            await until(lambda: door.snapshot().path == "faster")
            assert await answers(door) == before
            assert len(before) == len(asked)
            assert isinstance(during[0][-1], FinishedEvent)
            assert isinstance(streamed[-1], FinishedEvent)
            told = sum((e.token_ids for e in streamed if isinstance(e, TokensEvent)), ())
            assert told == streamed[-1].hypotheses[0].token_ids
        finally:
            door.close()

    run(scenario())


@pytest.mark.parametrize("backing", ["thread", "process"])
def test_an_idle_engine_changes_over_too(backing: str) -> None:
    maker = Maker(FasterNetwork(tiny_model(1)))
    maker.may.set()

    async def scenario() -> None:
        door = behind(backing, maker)
        try:
            await until(lambda: door.snapshot().path == "faster")
        finally:
            door.close()

    run(scenario())


@pytest.mark.parametrize("backing", ["thread", "process"])
@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (NativeUnavailable("no compiler"), "going on without them: no compiler"),
        (ZeroDivisionError(), "could not be made"),
    ],
)
def test_what_cannot_be_made_is_said_and_the_first_network_goes_on(
    backing: str, failure: Exception, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    maker = Maker(failure)

    async def scenario() -> None:
        door = behind(backing, maker)
        try:
            with caplog.at_level(logging.WARNING):
                maker.may.set()
                await until(lambda: words in caplog.text)
            assert isinstance((await collect(door.submit(request(options=SHORT))))[-1], FinishedEvent)
            assert door.snapshot().path == "eager"
        finally:
            door.close()

    run(scenario())
