"""Places in the queue: reserved before tokenising, corrected after it, given back however a request ends."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.admission import QUEUE_SHARE, WORK_SHARE, Admission, Patience, Place, TokenEstimate
from service.engine.config import EngineSnapshot
from service.engine.errors import EngineDraining, EngineOverloaded, StepFailed
from service.errors import Draining, Overloaded, RequestTooLarge
from service.jobs import TranslationJob
from service.planning import Planner
from service.registry import ServedModel
from tests.fakes import FakeEngine, fake_translator, served_model
from tests.service.http_client import app_client, metric

ANY_TIME = Patience(1e9)


def model(*, queue: int = 0, bound: int = 100, speed: float = 10.0, name: str = "en-de") -> ServedModel:
    engine = FakeEngine()
    engine.queue_tokens, engine.max_queue_tokens, engine.tokens_per_second = queue, bound, speed
    return served_model(engine, name)


def engine_of(served: ServedModel) -> FakeEngine:
    assert isinstance(served.engine, FakeEngine)
    return served.engine


def held(admission: Admission, served: ServedModel) -> int:
    return admission.reserved(served)


def test_a_place_is_as_large_as_recent_texts_say_and_then_as_large_as_it_is() -> None:
    served = model()
    admission = Admission([served])
    with admission.reserve([served], 100, ANY_TIME) as place:
        assert held(admission, served) == 30  # the first guess
        admission.correct(place, {served: 42})
        assert held(admission, served) == 42
        admission.correct(place, {served: 7})
        assert held(admission, served) == 7
    assert held(admission, served) == 0
    for _ in range(100):
        admission.learn(served, 1000, 500)
    with admission.reserve([served], 100, ANY_TIME):
        assert held(admission, served) == 50


@given(st.lists(st.tuples(st.integers(1, 3000), st.floats(0.05, 4.0)), max_size=20), st.integers(0, 10_000))
def test_an_estimate_lies_between_what_was_seen_and_the_guess(
    seen: list[tuple[int, float]], characters: int
) -> None:
    estimate, ratios = TokenEstimate(), [0.3]
    for length, ratio in seen:
        tokens = round(length * ratio)
        ratios.append(tokens / length)
        estimate.learn(length, tokens)
    tokens = estimate.tokens_of(characters)
    assert min(ratios) * characters - 1 <= tokens <= max(ratios) * characters + 1
    assert (tokens > 0) == (characters > 0)


def test_what_was_submitted_is_counted_by_the_engine_alone() -> None:
    served = model()
    admission = Admission([served])
    with admission.reserve([served], 50, ANY_TIME) as place:
        admission.correct(place, {served: 20})
        admission.submitted(place, served, 12)
        assert held(admission, served) == 8
        admission.submitted(place, served, 8)
        assert held(admission, served) == 0
    assert held(admission, served) == 0


def test_a_full_queue_refuses_with_the_backlog_over_the_measured_speed() -> None:
    served = model(queue=60, bound=100, speed=8.0)
    admission = Admission([served])
    with admission.reserve([served], 80, ANY_TIME):  # 24 tokens: 84 are taken
        with pytest.raises(Overloaded) as caught:
            admission.reserve([served], 60, ANY_TIME)
        assert caught.value.retry_after_seconds == pytest.approx((60 + 24) / 8.0)
        assert held(admission, served) == 24
        admission.reserve([served], 50, ANY_TIME).release()
    admission.reserve([served], 60, ANY_TIME).release()


def test_a_refusal_leaves_no_garbage_to_search_for() -> None:
    """Each search holds everybody up, and an overloaded server refuses hundreds a second."""
    served = model(queue=100)
    admission = Admission([served])
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            with pytest.raises(Overloaded) as refused:
                admission.reserve([served], 100, ANY_TIME)
            del refused
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_text_that_came_to_more_than_there_is_room_for_is_refused_after_all() -> None:
    served = model(queue=60, bound=100)
    admission = Admission([served])
    with admission.reserve([served], 100, ANY_TIME) as place:
        with pytest.raises(Overloaded):
            admission.correct(place, {served: 41})
        admission.correct(place, {served: 40})
    assert held(admission, served) == 0


def test_what_could_never_fit_is_too_large_and_not_a_matter_of_time() -> None:
    served = model(bound=100)
    admission = Admission([served])
    with admission.reserve([served], 10_000, ANY_TIME) as place:
        with pytest.raises(RequestTooLarge) as caught:
            admission.correct(place, {served: 101})
        (fault,) = caught.value.faults
        assert (fault.field, fault.bound, fault.value) == (
            "text",
            "at most 100 source tokens on this server",
            101,
        )
    with admission.reserve([served], 10_000, ANY_TIME) as place:
        admission.correct(place, {served: 100})


@pytest.mark.parametrize(("priority", "limit"), [(0, 100), (2, 200), (-1, 50)])
def test_who_would_miss_its_deadline_is_refused_at_once(priority: int, limit: int) -> None:
    """Ten tokens a second and 25 seconds to go: 40 % of it may pass in the queue."""
    served = model(bound=10_000, speed=10.0)
    admission, patience = Admission([served]), Patience(25.0, priority)
    assert (QUEUE_SHARE, WORK_SHARE) == (0.4, 0.8)
    engine_of(served).queue_tokens = limit
    for characters in (1, 10, 333):  # up to 100 tokens: whoever comes now has the same chance, long or short
        admission.reserve([served], characters, patience).release()
    with pytest.raises(Overloaded):
        admission.reserve([served], 334, patience)  # all its work would take more than 80 % of its time
    engine_of(served).queue_tokens = limit + 1
    with pytest.raises(Overloaded, match="the deadline would pass") as caught:
        admission.reserve([served], 1, patience)
    assert caught.value.retry_after_seconds == pytest.approx((limit + 1) / 10.0)


def test_an_empty_queue_takes_even_a_request_that_needs_all_its_time() -> None:
    served = model(bound=10_000, speed=1.0)
    admission = Admission([served])
    with admission.reserve([served], 5_000, Patience(1.0)):
        with pytest.raises(Overloaded):
            admission.reserve([served], 1, Patience(1.0))
        admission.reserve([served], 1, Patience(10_000.0)).release()


def test_a_draining_engine_takes_nobody() -> None:
    class Leaving(FakeEngine):
        def snapshot(self) -> EngineSnapshot:
            return replace(super().snapshot(), draining=True)

    served = served_model(Leaving())
    with pytest.raises(Draining):
        Admission([served]).reserve([served], 1, ANY_TIME)


def test_of_several_models_one_with_room_is_enough_until_it_is_known_which() -> None:
    full, free = model(queue=100, name="full"), model(name="free")
    admission = Admission([full, free])
    with admission.reserve([full, free], 100, ANY_TIME) as place:
        assert (held(admission, full), held(admission, free)) == (0, 30)
        with pytest.raises(Overloaded):
            admission.correct(place, {full: 10})
    with admission.reserve([full, free], 100, ANY_TIME) as place:
        admission.correct(place, {free: 10})
        assert (held(admission, full), held(admission, free)) == (0, 10)
    engine_of(free).queue_tokens = 99
    with pytest.raises(Overloaded) as caught:
        admission.reserve([full, free], 100, ANY_TIME)
    assert caught.value.retry_after_seconds == pytest.approx(9.9)  # the one that is free first
    assert (held(admission, full), held(admission, free)) == (0, 0)


def try_to_come_in(admission: Admission, served: ServedModel, rng: random.Random) -> tuple[Place | None, int]:
    exact = rng.randint(0, 40)
    try:
        place = admission.reserve([served], rng.randint(1, 150), ANY_TIME)
    except Overloaded:
        return None, 0
    try:
        admission.correct(place, {served: exact})
    except Overloaded:
        place.release()
        return None, 0
    return place, exact


@settings(max_examples=60)
@given(st.integers(0, 10**9))
def test_reservations_and_queue_never_exceed_the_bound_and_nothing_stays_behind(seed: int) -> None:
    rng, served = random.Random(seed), model(bound=60)
    admission, engine = Admission([served]), engine_of(served)
    places: list[tuple[Place, int]] = []
    for _ in range(80):
        kind = rng.random()
        if kind < 0.5:
            place, exact = try_to_come_in(admission, served, rng)
            if place is not None:
                places.append((place, exact))
        elif kind < 0.7 and places:
            place, exact = places.pop(rng.randrange(len(places)))
            engine.queue_tokens += exact
            admission.submitted(place, served, exact)
            place.release()
        elif kind < 0.85 and places:
            places.pop(rng.randrange(len(places)))[0].release()
        else:
            engine.queue_tokens = rng.randint(0, engine.queue_tokens)
        assert held(admission, served) == sum(exact for _, exact in places)
        assert engine.queue_tokens + held(admission, served) <= 60
    for place, _ in places:
        place.release()
    assert held(admission, served) == 0


# The whole way: over HTTP, or through the translator.


def test_a_refusal_comes_before_the_text_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> Any:
        raise AssertionError("a request without a place was planned")

    monkeypatch.setattr(Planner, "plan", never)
    served = model(queue=100, speed=40.0)
    client = app_client(served)
    response = client.post("/v1/translate", json={"text": "Hello."})
    assert (response.status_code, response.json()["code"]) == (429, "overloaded")
    assert (response.headers["retry-after"], response.json()["retry_after_seconds"]) == ("3", 3)
    assert metric(client, 'verto_rejected_total{reason="overloaded"}') == 1
    assert metric(client, "verto_source_tokens_total") == 0


def test_a_text_that_no_queue_could_take_is_413_with_bound_and_value() -> None:
    client = app_client(model(bound=10))
    response = client.post("/v1/translate", json={"text": "A long story."})
    assert response.status_code == 413
    assert response.json()["errors"] == [
        {"field": "text", "bound": "at most 10 source tokens on this server", "value": 14}
    ]
    assert client.post("/v1/translate", json={"text": "Short."}).status_code == 200


JOB = TranslationJob(texts=("One. Two.", "Three."), options={}, source="en")


def outcome(served: ServedModel, job: TranslationJob = JOB) -> tuple[int, type[BaseException] | None]:
    """What stays reserved after the job, and what it raised."""

    async def run() -> tuple[int, type[BaseException] | None]:
        translator = fake_translator(served)
        try:
            with await translator.start(job) as running:
                await running.result()
        except BaseException as error:
            return translator._admission.reserved(served), type(error)
        return translator._admission.reserved(served), None

    return asyncio.run(run())


@pytest.mark.parametrize("refuse_after", [0, 1, 2])
@pytest.mark.parametrize("error", [EngineOverloaded(1.0), EngineDraining(), StepFailed("x"), OSError("x")])
def test_a_place_is_given_back_however_submitting_ends(error: Any, refuse_after: int) -> None:
    served = served_model(FakeEngine(refuse=error, refuse_after=refuse_after))
    reserved, raised = outcome(served)
    assert reserved == 0
    assert raised is not None


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError])
def test_a_place_is_given_back_when_planning_fails(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Any:
        raise error

    monkeypatch.setattr(Planner, "plan", fail)
    assert outcome(served_model(FakeEngine())) == (0, error)


def test_a_place_is_held_while_a_long_text_is_planned_and_given_back_if_its_client_leaves() -> None:
    served = served_model(FakeEngine())

    async def run() -> None:
        translator = fake_translator(served)
        job = TranslationJob(texts=("Word. " * 1_500,), options={}, source="en")
        starting = asyncio.ensure_future(translator.start(job))
        await asyncio.sleep(0)
        assert translator._admission.reserved(served) == 2_700
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert translator._admission.reserved(served) == 0

    asyncio.run(run())


def test_submitted_segments_are_not_counted_twice() -> None:
    seen: list[int] = []

    class Watching(FakeEngine):
        def submit(self, request: Any) -> Any:
            seen.append(note())
            return super().submit(request)

    note: Callable[[], int] = lambda: -1  # noqa: E731
    served = served_model(Watching())

    async def run() -> int:
        nonlocal note
        translator = fake_translator(served)
        note = lambda: translator._admission.reserved(served)  # noqa: E731
        with await translator.start(JOB):
            return translator._admission.reserved(served)

    assert asyncio.run(run()) == 0
    # "One.", "Two." and "Three." with their ends: 5 + 5 + 7 tokens, fewer with each that went.
    assert seen == [17, 12, 7]
