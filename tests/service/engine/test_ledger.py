"""Accepted segments through the deaths of their engine: none lost, none told twice, the right one blamed."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.decoding import Hypothesis
from service.engine.config import EngineConfig
from service.engine.errors import (
    DeadlineExceeded,
    EngineDraining,
    EngineOverloaded,
    SegmentCancelled,
    SegmentTooLarge,
    StepFailed,
    StreamBroken,
)
from service.engine.ledger import Ledger
from service.engine.request import FailedEvent, FinishedEvent, TokensEvent
from tests.service.engine.pretended_child import TIMINGS, PretendedChild, answer_to
from tests.service.engine.segments import request

CONFIG = EngineConfig(max_rows=64, max_queue_tokens=1000)


def ledger_of(count: int, **limits: int) -> Ledger:
    """So many segments of 4 tokens, keys 0.., accepted and not told."""
    ledger = Ledger(EngineConfig(**{"max_rows": 64, "max_queue_tokens": 1000, **limits}), 1)
    for number in range(count):
        ledger.accept(request(segment_id=f"s{number}"), 8, float(number), 1.0)
    return ledger


def told(ledger: Ledger) -> list[int]:
    return [segment.key for segment in ledger.take_untold()]


def finish(ledger: Ledger, key: int) -> None:
    emission = ledger.take(key, FinishedEvent((Hypothesis((), (), 0.0, "stop"),), TIMINGS))
    assert emission is not None
    assert emission.is_last


def test_what_is_accepted_waits_until_the_child_says_that_it_joined() -> None:
    ledger = ledger_of(3)
    assert told(ledger) == [0, 1, 2]
    assert told(ledger) == []
    assert (ledger.queue_segments, ledger.queue_tokens, len(ledger.running)) == (3, 12, 0)
    ledger.joined([0, 2], now=1.0)
    assert (ledger.queue_segments, ledger.queue_tokens, len(ledger.running)) == (1, 4, 2)
    finish(ledger, 2)
    assert (len(ledger), ledger.queue_tokens, len(ledger.running), ledger.num_told) == (2, 4, 1, 2)


def test_the_limits_are_kept_before_the_child_is_asked() -> None:
    ledger = ledger_of(2, max_queue_tokens=10, max_rows=4)
    with pytest.raises(EngineOverloaded) as caught:
        ledger.accept(request(), 8, 0.0, 7.5)
    assert caught.value.retry_after_seconds == 7.5
    with pytest.raises(SegmentTooLarge, match="source_tokens must be at most 10, got 11"):
        ledger.accept(request((5,) * 11), 8, 0.0, 1.0)
    with pytest.raises(ValueError, match="'s0' is in use"):
        ledger.accept(request(segment_id="s0"), 8, 0.0, 1.0)
    assert len(ledger) == 2
    told(ledger)
    ledger.joined([0], now=1.0)
    ledger.accept(request(), 8, 0.0, 1.0)


def test_a_later_round_of_what_was_accepted_is_accepted_however_full_the_queue_is() -> None:
    ledger = ledger_of(2, max_queue_tokens=8)
    later = request().again(accepted_at=0.5)
    with pytest.raises(EngineOverloaded):
        ledger.accept(request(), 8, 2.0, 1.0)
    assert ledger.accept(later, 8, 2.0, 1.0).turn_at == 0.5
    assert (ledger.queue_segments, ledger.queue_tokens) == (3, 12)
    with pytest.raises(SegmentTooLarge):
        ledger.accept(request((5,) * 9).again(accepted_at=0.5), 8, 2.0, 1.0)


def test_after_a_death_everything_is_told_again_in_its_order_with_its_time() -> None:
    ledger = ledger_of(4)
    told(ledger)
    ledger.joined([1, 3], now=9.0)
    finish(ledger, 3)
    assert ledger.died() == []
    assert (ledger.queue_segments, len(ledger.running)) == (3, 0)
    again = ledger.take_untold()
    assert [(segment.key, segment.submitted_at) for segment in again] == [(0, 0.0), (1, 1.0), (2, 2.0)]


def test_segments_that_only_waited_are_never_blamed() -> None:
    ledger = ledger_of(3)
    for _ in range(10):
        assert told(ledger) == [0, 1, 2]
        assert ledger.died() == []


def test_running_at_two_deaths_in_company_is_tried_alone_while_all_others_wait() -> None:
    ledger = ledger_of(4)
    for _ in range(2):
        assert told(ledger) == [0, 1, 2, 3]
        ledger.joined([0, 1], now=1.0)
        assert ledger.died() == []
    assert told(ledger) == [0]
    ledger.joined([0], now=1.0)
    assert told(ledger) == []
    finish(ledger, 0)
    assert told(ledger) == [1]
    finish(ledger, 1)
    assert told(ledger) == [2, 3]


def test_alone_at_two_deaths_is_failed_alone_and_the_others_go_on() -> None:
    ledger = ledger_of(3)
    for _ in range(2):
        told(ledger)
        ledger.joined([0, 1], now=1.0)
        ledger.died()
    assert told(ledger) == [0]
    ledger.joined([0], now=1.0)
    assert ledger.died() == []  # once may have been an accident
    assert told(ledger) == [1]  # so the next one first
    ledger.joined([1], now=1.0)
    finish(ledger, 1)
    assert told(ledger) == [0]
    ledger.joined([0], now=1.0)
    (failed,) = ledger.died()
    assert failed.segment.key == 0
    assert isinstance(failed.event, FailedEvent)
    assert isinstance(failed.event.error, StepFailed)
    assert told(ledger) == [2]


def test_a_segment_that_was_alone_from_the_start_fails_at_its_second_death() -> None:
    ledger = ledger_of(1)
    told(ledger)
    ledger.joined([0], now=1.0)
    assert ledger.died() == []
    told(ledger)
    ledger.joined([0], now=1.0)
    assert len(ledger.died()) == 1
    assert len(ledger) == ledger.queue_tokens == len(ledger.running) == 0


def test_new_segments_wait_while_a_suspect_is_tried() -> None:
    ledger = ledger_of(2)
    for _ in range(2):
        told(ledger)
        ledger.joined([0, 1], now=1.0)
        ledger.died()
    assert told(ledger) == [0]
    ledger.accept(request(), 8, 5.0, 1.0)
    assert told(ledger) == []


def test_a_stream_that_deviates_ends_with_an_error_that_says_so() -> None:
    ledger = ledger_of(1)
    told(ledger)
    ledger.joined([0], now=1.0)
    ledger.take(0, TokensEvent((5, 6)))
    ledger.died()
    told(ledger)
    assert ledger.take(0, TokensEvent((5,))) is None
    broken = ledger.take(0, TokensEvent((7,)))
    assert broken is not None
    assert isinstance(broken.event, FailedEvent)
    assert isinstance(broken.event.error, StreamBroken)
    assert ledger.take(0, TokensEvent((8,))) is None
    assert len(ledger) == 0


def test_a_cancelled_segment_leaves_the_queue_at_once_and_is_the_childs_to_end_if_it_has_it() -> None:
    ledger = ledger_of(2)
    assert ledger.cancel(0) is False  # not told yet: it is ended here
    (ended,) = ledger.expire(now=0.0)
    assert isinstance(ended.event, FailedEvent)
    assert isinstance(ended.event.error, SegmentCancelled)
    told(ledger)
    assert ledger.cancel(1) is True
    assert ledger.cancel(1) is False
    assert (ledger.queue_tokens, len(ledger)) == (0, 1)
    assert ledger.expire(now=0.0) == []


def test_cancelled_and_late_segments_are_not_told_to_the_next_child() -> None:
    ledger = Ledger(CONFIG, 1)
    for name, deadline in (("cancelled", None), ("late", 5.0), ("in time", 50.0)):
        ledger.accept(request(segment_id=name, deadline=deadline), 8, 0.0, 1.0)
    told(ledger)
    ledger.joined([0, 1, 2], now=1.0)
    ledger.cancel(0)
    ledger.died()
    errors = [e.event.error for e in ledger.expire(now=10.0) if isinstance(e.event, FailedEvent)]
    assert [type(error) for error in errors] == [SegmentCancelled, DeadlineExceeded]
    assert told(ledger) == [2]


def test_clearing_ends_everything_and_frees_all() -> None:
    ledger = ledger_of(3)
    told(ledger)
    ledger.joined([1], now=1.0)
    assert len(ledger.clear(EngineDraining())) == 3
    assert len(ledger) == ledger.queue_tokens == len(ledger.running) == ledger.num_told == 0


def accept_some(child: PretendedChild, rng: random.Random, sources: list[int]) -> list[int]:
    keys = []
    for first in sources:
        source = (first, *rng.choices(range(5, 20), k=rng.randint(0, 3)), 3)
        segment = child.ledger.accept(request(source), 8, 0.0, 1.0)
        child.accept(segment)
        keys.append(segment.key)
    child.tell()
    return keys


def run_down(child: PretendedChild, rng: random.Random, room: int, kills: int) -> None:
    """Until nothing is left, with so many deaths that nobody who runs is to blame for."""
    for _ in range(10_000):
        if not len(child.ledger):
            return
        if kills and rng.random() < 0.2:
            kills -= 1
            child.die()
        child.join(rng.randint(0, 5), room)
        check_books(child)
        child.step(rng)
    raise AssertionError("it does not come to an end")


def check_books(child: PretendedChild) -> None:
    ledger = child.ledger
    assert {segment.key for segment in ledger.running.segments} == set(child.running)
    assert ledger.num_told == len(child.running) + len(child.waiting)
    assert ledger.queue_segments + len(ledger.running) == len(ledger)
    assert ledger.queue_segments == 0 or ledger.queue_tokens > 0


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(1, 30),
    bad=st.integers(0, 3),
    room=st.integers(1, 8),
)
def test_poison_fails_alone_and_everybody_else_is_answered(
    seed: int, count: int, bad: int, room: int
) -> None:
    rng = random.Random(seed)
    child = PretendedChild(CONFIG, poison=frozenset({4}))
    sources = [4] * bad + [rng.randint(5, 20) for _ in range(count)]
    rng.shuffle(sources)
    keys = accept_some(child, rng, sources)
    run_down(child, rng, room, kills=0)
    for key, first in zip(keys, sources, strict=True):
        (end,) = child.ends_of(key)
        assert isinstance(end, FailedEvent if first == 4 else FinishedEvent)
    # In company at most twice each, alone exactly twice or, for the first to be tried, once more often.
    assert len(child.deaths) <= 4 * bad


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(1, 20),
    kills=st.integers(0, 12),
    room=st.integers(1, 8),
)
def test_whoever_is_killed_from_outside_nothing_is_lost_repeated_or_changed(
    seed: int, count: int, kills: int, room: int
) -> None:
    rng = random.Random(seed)
    child = PretendedChild(CONFIG)
    keys = accept_some(child, rng, [rng.randint(5, 20) for _ in range(count)])
    asked = {segment.key: segment.request.source_ids for segment in child.waiting}
    run_down(child, rng, room, kills)
    for key in keys:
        answer = answer_to(asked[key])
        (end,) = child.ends_of(key)
        if isinstance(end, FinishedEvent):
            assert child.streamed(key) == end.hypotheses[0].token_ids == answer
        else:
            assert child.deaths.count(frozenset({key})) == 2
            assert child.streamed(key) == answer[: len(child.streamed(key))]
