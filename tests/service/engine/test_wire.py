"""All that is said between parent and child arrives as it was sent."""

from __future__ import annotations

import pickle
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest

from model.checkpoint import BundleError
from model.decoding import DecodingOptions, Hypothesis
from service.engine import (
    DeadlineExceeded,
    DraftEvent,
    EngineConfig,
    EngineDraining,
    EngineError,
    EngineOverloaded,
    EngineUnavailable,
    FailedEvent,
    FinishedEvent,
    SegmentCancelled,
    SegmentTimings,
    SegmentTooLarge,
    StepFailed,
    StreamBroken,
    TokensEvent,
)
from service.engine.network_plan import NetworkPlan
from service.engine.wire import (
    Cancel,
    Observed,
    Ready,
    Start,
    Stepped,
    Stop,
    Submit,
    receive,
    send,
)
from tests.builders import tiny_config
from tests.service.engine.segments import request

ERRORS = [
    EngineOverloaded(1.5),
    EngineDraining(),
    EngineUnavailable(2.5),
    SegmentTooLarge("source_tokens", 3, 4),
    DeadlineExceeded("queued"),
    SegmentCancelled(),
    StepFailed("it failed"),
    StreamBroken(),
]


def through_a_pipe(message: Any) -> Any:
    ours, theirs = Pipe()
    with ours, theirs:
        send(ours, message)
        return receive(theirs)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_arrives_with_its_kind_its_message_and_what_it_carries(error: EngineError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), again.args, vars(again)) == (str(error), error.args, vars(error))


def test_every_kind_of_error_is_tried_above() -> None:
    declared = {kind for kind in EngineError.__subclasses__() if kind.__module__ == EngineError.__module__}
    assert {type(error) for error in ERRORS} == declared


def test_a_fault_of_a_bundle_arrives_whole() -> None:
    again = pickle.loads(pickle.dumps(BundleError(Path("a") / "b", "is broken")))
    assert (str(again), again.path, again.fault) == (
        f"{Path('a') / 'b'}: is broken",
        Path("a/b"),
        "is broken",
    )


def test_commands_and_reports_arrive_as_they_were_sent() -> None:
    options = DecodingOptions(strategy="sample", seed=2**63 - 1, prefix_ids=(4, 5))
    hypothesis = Hypothesis((5, 6), (-0.1, -0.25), -0.175, "stop")
    timings = SegmentTimings(0.1, 0.2, 0.3)
    asked = request((5, 6, 3), options, stream=True, priority=-3, deadline=1e6)
    events = (
        (1, TokensEvent((5,))),
        (2, DraftEvent((6, 7))),
        (1, FinishedEvent((hypothesis,), timings)),
    )
    for message in (
        Start(bundle=Path("folder"), plan=NetworkPlan(), config=EngineConfig()),
        (Submit(1, asked, 12.5), Cancel(1), Stop()),
        Ready(config=tiny_config(), dtype="float32", device="cpu", bytes_per_position=1, manifest_digest="d"),
        Stepped((Observed("finished", ("stop", 1, 2, timings)),), events, 123.4, (3, 4)),
    ):
        assert through_a_pipe(message) == message


def test_a_failure_arrives_inside_its_event() -> None:
    report = through_a_pipe(Stepped((), ((1, FailedEvent(SegmentTooLarge("beam_size", 1, 2))),), 1.0))
    ((key, event),) = report.events
    assert key == 1
    assert isinstance(event, FailedEvent)
    assert str(event.error) == "beam_size must be at most 1, got 2"
