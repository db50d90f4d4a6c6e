"""The engine turned by hand: what it refuses, measures and reports."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from model.decoding import DecodingOptions
from service.engine.config import EngineConfig
from service.engine.errors import (
    EngineDraining,
    EngineOverloaded,
    SegmentTooLarge,
    StepFailed,
)
from service.engine.observer import Phase
from service.engine.request import FinishedEvent, SegmentTimings
from service.engine.speed import FIRST_GUESS
from tests.builders import tiny_model
from tests.service.engine.by_hand import (
    KINDS,
    Clock,
    Ear,
    answer_of,
    check_budget,
    engine,
    error_of,
)
from tests.service.engine.segments import GREEDY, request


@pytest.fixture(autouse=True)
def _inference() -> Any:
    with torch.inference_mode():
        yield


def test_what_cannot_be_accepted_is_refused_at_once_and_told_to_the_observer() -> None:
    ear = Ear()
    one = engine(ear=ear, max_rows=3, max_queue_tokens=20)
    with pytest.raises(SegmentTooLarge, match="beam_size must be at most 3, got 4"):
        one.submit(request(options=KINDS[2]))
    with pytest.raises(SegmentTooLarge, match="source_tokens must be at most 64, got 65"):
        one.submit(request((5,) * 65))
    for _ in range(5):
        one.submit(request())
    with pytest.raises(EngineOverloaded):
        one.submit(request())
    one.start_draining()
    with pytest.raises(EngineDraining):
        one.submit(request((5, 3)))
    assert [fact[1] for fact in ear.facts] == ["too_large", "too_large", "overloaded", "draining"]
    assert one.snapshot().queue_segments == 5
    assert one.snapshot().draining


def test_retry_after_is_the_queued_work_over_the_measured_speed() -> None:
    clock = Clock()
    model = tiny_model(1).double()
    one, decode_step = engine(model, clock=clock, max_queue_tokens=40, max_rows=1), model.decode_step

    def slowly(token_ids: torch.Tensor, cache: Any) -> torch.Tensor:
        clock.now += 0.5
        return decode_step(token_ids, cache)

    model.decode_step = slowly  # type: ignore[method-assign]
    for _ in range(6):
        for _ in range(10):
            one.submit(request(options=DecodingOptions(strategy="greedy", max_length=1)))
        one.run_until_idle()
    # Four source tokens every half second: eight per second.
    for _ in range(10):
        one.submit(request())
    with pytest.raises(EngineOverloaded) as caught:
        one.submit(request())
    assert caught.value.retry_after_seconds == pytest.approx(40 / 8, rel=0.5)
    assert one.snapshot().backlog_seconds == caught.value.retry_after_seconds


def test_speed_is_that_of_a_full_batch() -> None:
    """A batch with room to spare works for few at a time, and says nothing of how a queue would shrink."""
    clock, model = Clock(), tiny_model(1).double()
    one, decode_step = engine(model, clock=clock), model.decode_step

    def slowly(token_ids: torch.Tensor, cache: Any) -> torch.Tensor:
        clock.now += 60.0
        return decode_step(token_ids, cache)

    model.decode_step = slowly  # type: ignore[method-assign]
    one.submit(request(options=KINDS[0]))
    one.run_until_idle()
    assert one.snapshot().tokens_per_second == FIRST_GUESS


def test_what_passes_between_the_steps_of_a_full_batch_counts_as_well() -> None:
    clock = Clock()
    one = engine(clock=clock, max_rows=1, max_queue_tokens=10_000)
    for _ in range(400):
        one.submit(request(options=DecodingOptions(strategy="greedy", max_length=1)))
    while one.snapshot().queue_segments:
        one.step()
        clock.now += 2.0
    assert one.snapshot().tokens_per_second == pytest.approx(4 / 2.0, rel=0.01)
    one.run_until_idle()
    clock.now += 1_000.0  # nothing to do is not slowness
    for _ in range(2):
        one.submit(request(options=DecodingOptions(strategy="greedy", max_length=1)))
    one.step()
    assert one.snapshot().tokens_per_second == pytest.approx(4 / 2.0, rel=0.2)


def test_an_id_is_taken_while_its_segment_lives_and_free_afterwards() -> None:
    one = engine()
    one.submit(request(segment_id="x", options=KINDS[0]))
    with pytest.raises(ValueError, match="'x' is in use"):
        one.submit(request(segment_id="x"))
    one.run_until_idle()
    one.submit(request(segment_id="x", options=KINDS[0]))
    assert answer_of(one.run_until_idle(), "x")


def test_timings_are_seconds_since_submission() -> None:
    clock, ear, model = Clock(), Ear(), tiny_model(1).double()
    one, encode, decode_step = engine(model, ear, clock), model.encode, model.decode_step

    def encode_slowly(source_ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        clock.now += 3.0
        return encode(source_ids, mask)

    def step_slowly(token_ids: torch.Tensor, cache: Any) -> torch.Tensor:
        clock.now += 1.0
        return decode_step(token_ids, cache)

    model.encode, model.decode_step = encode_slowly, step_slowly  # type: ignore[method-assign]
    one.submit(request(options=DecodingOptions(strategy="greedy", max_length=5, min_length=4)))
    clock.now += 2.0
    (last,) = [e.event for e in one.run_until_idle()]
    assert isinstance(last, FinishedEvent)
    assert last.timings == SegmentTimings(queue_seconds=2.0, first_token_seconds=6.0, total_seconds=10.0)
    (fact,) = [fact for fact in ear.facts if fact[0] == "finished"]
    assert fact[2:] == (4, len(last.hypotheses[0].token_ids), last.timings)


def test_the_observer_hears_of_every_pass_over_the_network() -> None:
    ear = Ear()
    one = engine(ear=ear)
    one.submit(request((5, 6, 7, 8, 3), options=KINDS[1]))
    one.submit(request((5, 3), options=KINDS[0]))
    one.step()
    # Both sources count as long as the longer; both have come equally far.
    assert ear.facts == [("encode", 2, 3), ("decode", 3, 3), ("schedule", 3, 0)]


def test_padding_of_a_decode_step_is_what_shorter_rows_and_sources_lack() -> None:
    ear = Ear()
    one = engine(ear=ear)
    one.submit(request((5, 6, 7, 8, 3), options=KINDS[1]))  # two rows
    one.step()
    one.step()
    one.submit(request((5, 3), options=KINDS[2]))  # four rows, two positions behind, three tokens shorter
    one.step()
    decoded = [fact for fact in ear.facts if fact[0] == "decode"]
    assert decoded == [("decode", 2, 0), ("decode", 2, 0), ("decode", 6, 4 * 2 + 3)]


def test_scheduling_is_all_of_a_step_but_its_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, model, seconds = Clock(), tiny_model(1).double(), dict[str, float]()

    class Stopwatch(Ear):
        def step(self, phase: Phase, duration_seconds: float, rows: int, padding_tokens: int) -> None:
            seconds[phase] = duration_seconds

    def lasting(duration: float, call: Any) -> Any:
        def slow(*arguments: Any, **options: Any) -> Any:
            clock.now += duration
            return call(*arguments, **options)

        return slow

    one = engine(model, Stopwatch(), clock)
    monkeypatch.setattr(model, "encode", lasting(4.0, model.encode))
    monkeypatch.setattr(model, "decode_step", lasting(2.0, model.decode_step))
    monkeypatch.setattr(one._scheduler, "plan", lasting(1.0, one._scheduler.plan))
    monkeypatch.setattr(one, "_finish", lasting(0.5, one._finish))
    one.submit(request(options=DecodingOptions(strategy="greedy", max_length=1)))
    one.step()
    assert seconds == {"encode": 4.0, "decode": 2.0, "schedule": 1.5}


def test_the_heartbeat_is_the_age_of_the_last_turn_while_there_is_work() -> None:
    clock = Clock()
    one = engine(clock=clock)
    clock.now += 50.0
    assert one.snapshot().heartbeat_seconds == 0.0  # nothing to do
    one.submit(request())
    assert one.snapshot().heartbeat_seconds == 0.0
    clock.now += 4.0
    assert one.snapshot().heartbeat_seconds == 4.0
    one.step()
    assert one.snapshot().heartbeat_seconds == 0.0


def test_failing_all_ends_everything_once() -> None:
    one = engine(max_rows=2)
    for name in map(str, range(4)):
        one.submit(request(segment_id=name))
    one.step()
    one.cancel("3")
    told = one.fail_all(EngineDraining())
    assert sorted(e.segment.request.segment_id for e in told) == ["0", "1", "2", "3"]
    assert one.is_idle
    check_budget(one)
    assert one.step() == []


def test_a_step_that_breaks_off_by_a_defect_takes_no_end_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it had ended by then is told, and who was about to leave fails with the others."""

    def broken(*_: object) -> None:
        raise AssertionError("a defect")

    one = engine()
    monkeypatch.setattr(one, "_measure", broken)
    monkeypatch.setattr(one, "_leave", broken)
    one.submit(request(segment_id="short", options=DecodingOptions(strategy="greedy", max_length=1)))
    with pytest.raises(AssertionError):
        one.step()
    told = one.fail_all(StepFailed("a defect"))
    assert len(answer_of(told, "short")) == 1
    for name in ("gone", "beside"):
        one.submit(request(segment_id=name))
    one.cancel("gone")
    with pytest.raises(AssertionError):
        one.step()
    told = one.fail_all(StepFailed("a defect"))
    assert [(e.segment.request.segment_id, error_of(e).reason) for e in told] == [
        ("gone", "step"),
        ("beside", "step"),
    ]
    check_budget(one)


@pytest.mark.parametrize(
    "field",
    ["max_rows", "max_queue_tokens", "cache_bytes_limit", "num_threads", "max_encode_tokens"],
)
def test_limits_below_one_are_refused(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field} must be at least 1, got 0"):
        EngineConfig(**{field: 0})
    with pytest.raises(ValueError, match="at least 0"):
        EngineConfig(priority_step_seconds=-1.0)


def test_greedy_without_limits_runs_to_the_models_own() -> None:
    one = engine(tiny_model(1, eos_scale=1.0, max_target_length=9).double())
    one.submit(request(options=DecodingOptions(strategy="greedy", min_length=60), segment_id="x"))
    (best,) = answer_of(one.run_until_idle(), "x")
    assert (len(best.token_ids), best.finish_reason) == (9, "length")
    assert GREEDY.max_length is None
