"""A model translates before anybody sees it, by its own search and greedily, alone and side by side."""

from __future__ import annotations

import asyncio

import pytest

from model.decoding.options import DecodingOptions
from service.engine.errors import EngineUnavailable, StepFailed
from service.errors import EngineDown, InternalError, ServiceError
from service.hosting import warm_up as warm_up_module
from service.hosting.absent_engine import AbsentEngine
from service.hosting.warm_up import MAX_LENGTH, TEXTS, warm_up
from tests.fakes import FakeEngine, served_model


def test_both_searches_are_tried_with_one_segment_and_with_several() -> None:
    engine = FakeEngine()
    asyncio.run(warm_up(served_model(engine, defaults=DecodingOptions(beam_size=4))))
    strategies = [request.options.strategy for request in engine.requests]
    assert strategies.count("greedy") > len(TEXTS)
    assert strategies.count("beam") > len(TEXTS)
    assert engine.requests[0].options.beam_size == 4
    assert not engine.running
    assert all((one.options.max_length or 0) <= MAX_LENGTH for one in engine.requests)
    assert len({request.source_ids for request in engine.requests}) >= len(TEXTS)


def test_a_model_that_reads_little_or_writes_much_is_warmed_up_too() -> None:
    short = served_model(FakeEngine(), max_source_length=8)
    wordy = served_model(FakeEngine(), defaults=DecodingOptions(min_length=MAX_LENGTH + 5))
    for model in (short, wordy, served_model(FakeEngine(), "ja-zh", [("ja", "zh"), ("zh", "ja")])):
        asyncio.run(warm_up(model))


@pytest.mark.parametrize(
    ("engine", "error"),
    [
        (FakeEngine(fail=StepFailed("no")), InternalError),
        (FakeEngine(refuse=EngineUnavailable(1.0)), EngineDown),
    ],
)
def test_an_engine_that_fails_or_refuses_is_told(engine: FakeEngine, error: type[ServiceError]) -> None:
    with pytest.raises(error):
        asyncio.run(warm_up(served_model(engine)))


def test_an_engine_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_up_module, "TIMEOUT_SECONDS", 0.05)

    async def story() -> None:
        engine = FakeEngine(gate=asyncio.Event())
        with pytest.raises(ServiceError) as caught:
            await warm_up(served_model(engine))
        assert caught.value.code == "deadline_passed"
        assert not engine.running

    asyncio.run(story())


def test_what_stands_for_an_engine_takes_nothing_and_says_when_to_come_again() -> None:
    absent = AbsentEngine(2.0, 500)
    engine = FakeEngine()
    asyncio.run(warm_up(served_model(engine)))
    with pytest.raises(EngineUnavailable) as caught:
        absent.submit(engine.requests[0])
    assert caught.value.retry_after_seconds == 2.0
    assert not absent.snapshot().is_available
    assert absent.snapshot().max_queue_tokens == 500
    asyncio.run(absent.drain())
    absent.cancel("any")
    absent.close()
