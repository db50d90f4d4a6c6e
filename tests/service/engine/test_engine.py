"""The engine turned by hand: equal answers in any company, failures that stay where they happened."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.network import EagerNetwork
from service.engine.errors import (
    DeadlineExceeded,
    SegmentCancelled,
    StepFailed,
    is_about_memory,
)
from service.engine.request import Emission, FailedEvent, TokensEvent
from service.engine.runner import Runner
from tests.builders import tiny_model
from tests.service.engine.by_hand import (
    KINDS,
    MODEL,
    Clock,
    Ear,
    answer_of,
    check_budget,
    engine,
    error_of,
    expected,
    source,
)
from tests.service.engine.segments import request


@pytest.fixture(autouse=True)
def _inference() -> Any:
    with torch.inference_mode():
        yield


@settings(max_examples=12)
@given(st.integers(0, 10**6), st.integers(2, 9))
def test_every_segment_gets_the_reference_answer_in_any_company(seed: int, count: int) -> None:
    """Random arrivals, priorities, strategies and cancellations, streamed and not."""
    rng, one = random.Random(seed), engine(max_encode_tokens=15)
    requests = {
        name: request(
            source(rng),
            rng.choice(KINDS),
            segment_id=name,
            stream=rng.random() < 0.5,
            priority=rng.randint(-9, 9),
        )
        for name in map(str, range(count))
    }
    arriving, cancelled, told = list(requests.values()), set[str](), list[Emission]()
    while arriving or not one.is_idle:
        for _ in range(rng.randint(0, 2)):
            if arriving:
                one.submit(arriving.pop())
        if rng.random() < 0.2:
            cancelled.add(name := rng.choice(list(requests)))
            one.cancel(name)
        told += one.step()
        check_budget(one)
    for name, asked in requests.items():
        events = [e.event for e in told if e.segment.request.segment_id == name]
        assert [isinstance(event, TokensEvent) for event in events] == [True] * (len(events) - 1) + [False]
        if isinstance(events[-1], FailedEvent):
            assert name in cancelled
            assert isinstance(events[-1].error, SegmentCancelled)
            continue
        answer = [h.token_ids for h in answer_of(told, name)]
        assert answer == expected(asked.source_ids, asked.options)
        streamed = tuple(
            t for event in events[:-1] if isinstance(event, TokensEvent) for t in event.token_ids
        )
        assert streamed == (answer[0] if asked.stream else ())


def test_a_tight_memory_limit_only_makes_segments_wait() -> None:
    rng = random.Random(3)
    asked = [request(source(rng), options) for options in KINDS * 3]
    tight = 16 * Runner(EagerNetwork(MODEL)).bytes_per_position * 6
    one = engine(cache_bytes_limit=tight)
    for ask in asked:
        one.submit(ask)
    told = []
    while not one.is_idle:
        told += one.step()
        check_budget(one)
    for ask in asked:
        answer = [h.token_ids for h in answer_of(told, ask.segment_id)]
        assert answer == expected(ask.source_ids, ask.options)


def test_segments_join_a_batch_that_is_already_running() -> None:
    one = engine()
    one.submit(request(options=KINDS[2], segment_id="first"))
    one.step()
    one.submit(request((9, 8, 3), options=KINDS[0], segment_id="second"))
    one.step()
    assert one.snapshot().running_segments == 2
    assert one.snapshot().running_rows == 5


@pytest.mark.parametrize("phase", ["encode", "decode_step"])
def test_a_failed_step_fails_its_own_segments_and_the_engine_goes_on(
    phase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, ear = tiny_model(1).double(), Ear()
    one = engine(model, ear, max_rows=2)
    for name in ("a", "b", "c"):
        one.submit(request(options=KINDS[0], segment_id=name))

    def fail(*_: object) -> torch.Tensor:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patched:
        patched.setattr(model, phase, fail)
        told = one.step()
    assert [e.segment.request.segment_id for e in told] == ["a", "b"]
    for emission in told:
        assert isinstance(error_of(emission), StepFailed)
        assert isinstance(error_of(emission).__cause__, RuntimeError)
        assert "memory ran out; give it more, or lower cache_bytes_limit" in str(error_of(emission))
    assert ear.facts.count(("failed", "step")) == 2
    assert one.snapshot().running_rows == 0
    assert [h.token_ids for h in answer_of(one.run_until_idle(), "c")] == expected((5, 6, 7, 3), KINDS[0])


def test_a_group_that_cannot_be_encoded_harms_neither_running_nor_later_groups(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tiny_model(1).double()
    one, encode = engine(model), model.encode
    one.submit(request(options=KINDS[2], segment_id="running"))
    one.step()
    one.submit(request((*[5] * 50, 3), segment_id="long"))
    one.submit(request((7, 3), options=KINDS[0], segment_id="short"))

    def fail_on_long(source_ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if source_ids.shape[1] > 40:
            raise RuntimeError("out of memory")
        return encode(source_ids, mask)

    monkeypatch.setattr(model, "encode", fail_on_long)
    told = one.run_until_idle()
    (failed,) = [e for e in told if isinstance(e.event, FailedEvent)]
    assert failed.segment.request.segment_id == "long"
    assert [h.token_ids for h in answer_of(told, "running")] == expected((5, 6, 7, 3), KINDS[2])
    assert [h.token_ids for h in answer_of(told, "short")] == expected((7, 3), KINDS[0])


def test_when_joining_breaks_the_batch_each_segment_still_ends_exactly_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tiny_model(1).double()
    one = engine(model)
    one.submit(request(segment_id="running"))
    one.step()
    for name, length in (("long", 50), ("short", 3)):
        one.submit(request((*[5] * length, 3), options=KINDS[0], segment_id=name))

    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patched:
        patched.setattr("model.kv_cache.DecoderCache.join", fail)
        told = one.step()
    assert [e.segment.request.segment_id for e in told if isinstance(e.event, FailedEvent)] == [
        "running",
        "long",
    ]
    told = one.run_until_idle()
    assert [h.token_ids for h in answer_of(told, "short")] == expected((5, 5, 5, 3), KINDS[0])


@pytest.mark.parametrize("is_late", [False, True])
def test_when_freeing_rows_fails_who_leaves_is_told_and_who_comes_is_answered(
    is_late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    one = engine(clock=clock)
    one.submit(request(segment_id="leaves", deadline=110.0 if is_late else None))
    one.submit(request(options=KINDS[2], segment_id="beside"))
    one.step()
    one.submit(request((7, 3), options=KINDS[0], segment_id="comes"))
    if is_late:
        clock.now = 110.0
    else:
        one.cancel("leaves")

    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patched:
        patched.setattr("model.kv_cache.DecoderCache.keep", fail)
        told = one.step()
    failed = {e.segment.request.segment_id: type(error_of(e)) for e in told if e.is_last}
    assert failed == {"leaves": DeadlineExceeded if is_late else SegmentCancelled, "beside": StepFailed}
    check_budget(one)
    assert [h.token_ids for h in answer_of(one.run_until_idle(), "comes")] == expected((7, 3), KINDS[0])
    check_budget(one)


def test_one_segment_of_nans_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model(1).double()
    one, decode_step = engine(model), model.decode_step
    one.submit(request(options=KINDS[2], segment_id="bad"))
    one.submit(request((7, 3), options=KINDS[1], segment_id="good"))
    one.submit(request((8, 3), options=KINDS[0], segment_id="greedy"))

    def poison(token_ids: torch.Tensor, cache: Any) -> torch.Tensor:
        logits = decode_step(token_ids, cache)
        if len(token_ids) == 7:
            logits[0] = float("nan")
        return logits

    monkeypatch.setattr(model, "decode_step", poison)
    told = one.run_until_idle()
    (failed,) = [e for e in told if isinstance(e.event, FailedEvent)]
    assert failed.segment.request.segment_id == "bad"
    assert [h.token_ids for h in answer_of(told, "good")] == expected((7, 3), KINDS[1])
    assert [h.token_ids for h in answer_of(told, "greedy")] == expected((8, 3), KINDS[0])


def test_cancelling_frees_rows_before_the_next_step_and_is_idempotent() -> None:
    ear = Ear()
    one = engine(ear=ear, max_rows=4)
    for name in ("running", "queued", "next"):
        one.submit(request(options=KINDS[2], segment_id=name))
    one.step()
    for name in ("running", "running", "queued", "queued", "unknown"):
        one.cancel(name)
    told = one.step()
    left = [
        (e.segment.request.segment_id, type(error_of(e))) for e in told if isinstance(e.event, FailedEvent)
    ]
    assert left == [("queued", SegmentCancelled), ("running", SegmentCancelled)]
    assert one.snapshot().running_segments == 1
    assert [h.token_ids for h in answer_of(one.run_until_idle(), "next")] == expected((5, 6, 7, 3), KINDS[2])
    assert [fact for fact in ear.facts if fact[0] == "cancelled"] == [
        ("cancelled", "queued"),
        ("cancelled", "running"),
    ]


def test_a_passed_deadline_ends_a_segment_queued_or_running() -> None:
    clock, ear = Clock(), Ear()
    one = engine(ear=ear, clock=clock, max_rows=1)
    one.submit(request(segment_id="running", deadline=110.0))
    one.submit(request(segment_id="queued", deadline=105.0))
    assert not [e for e in one.step() if e.is_last]
    clock.now = 105.0
    (told,) = one.step()
    assert told.segment.request.segment_id == "queued"
    assert isinstance(error_of(told), DeadlineExceeded)
    clock.now = 110.0
    (told,) = one.step()
    assert told.segment.request.segment_id == "running"
    assert isinstance(error_of(told), DeadlineExceeded)
    assert one.is_idle
    assert ear.facts.count(("failed", "deadline")) == 2


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (MemoryError(), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 9 bytes"), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (ValueError("a token id is not in the vocabulary"), False),
    ],
)
def test_memory_that_ran_out_is_told_from_an_address_that_is_wrong(error: Exception, is_one: bool) -> None:
    assert is_about_memory(error) == is_one
