"""Attention comes with the answer of whoever asked for it, and what goes wrong with it stays there."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from model.alignment import cross_attention
from service.engine.errors import StepFailed
from service.engine.request import Emission, Event, FailedEvent, FinishedEvent
from service.engine.runner import Runner
from tests.service.engine.by_hand import KINDS, MODEL, Ear, answer_of, engine, error_of
from tests.service.engine.segments import request

SOURCE = (5, 9, 7, 3)


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


def last_event(emissions: list[Emission], segment_id: str) -> Event:
    (event,) = [e.event for e in emissions if e.segment.request.segment_id == segment_id and e.is_last]
    return event


@pytest.mark.parametrize("options", KINDS)
def test_attention_is_that_of_the_best_hypothesis_and_only_where_it_was_asked_for(options: object) -> None:
    one = engine()
    asked = request(SOURCE, options, segment_id="asked")  # type: ignore[arg-type]
    one.submit(replace(asked, want_attention=True))
    one.submit(replace(asked, segment_id="plain"))
    told = one.run_until_idle()
    (best, *_) = answer_of(told, "asked")
    assert best == answer_of(told, "plain")[0]
    finished, plain = last_event(told, "asked"), last_event(told, "plain")
    assert isinstance(finished, FinishedEvent)
    assert isinstance(plain, FinishedEvent)
    assert plain.attention is None
    ended = (3,) if best.finish_reason == "stop" else ()
    assert finished.attention is not None
    expected = cross_attention(MODEL, SOURCE, (*best.token_ids, *ended))
    assert torch.equal(torch.from_numpy(finished.attention), expected)


def test_a_failing_pass_fails_its_own_segment_alone_and_frees_what_it_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> torch.Tensor:
        raise RuntimeError("out of memory")

    ear = Ear()
    one = engine(ear=ear)
    one.submit(replace(request(SOURCE, segment_id="asked"), want_attention=True))
    one.submit(request(SOURCE, segment_id="plain"))
    monkeypatch.setattr(Runner, "attention", fail)
    told = one.run_until_idle()
    assert answer_of(told, "plain")
    (failed,) = [e for e in told if isinstance(e.event, FailedEvent)]
    assert failed.segment.request.segment_id == "asked"
    assert isinstance(error_of(failed), StepFailed)
    assert ear.facts.count(("failed", "step")) == 1
    assert one.is_idle
    assert one.snapshot().running_rows == 0


def test_a_request_and_its_answer_survive_the_way_to_another_process() -> None:
    one = engine()
    asked = replace(request(SOURCE, segment_id="asked"), want_attention=True)
    one.submit(asked)
    finished = last_event(one.run_until_idle(), "asked")
    assert isinstance(finished, FinishedEvent)
    assert pickle.loads(pickle.dumps(asked)) == asked
    again = pickle.loads(pickle.dumps(finished))
    assert again == finished
    assert (again.attention == finished.attention).all()
