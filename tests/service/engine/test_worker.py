"""What a child says and in which order, seen from the other end of its pipe."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from model.network import EagerNetwork
from service.engine import EngineConfig, FailedEvent, FinishedEvent, SegmentTooLarge
from service.engine.network_plan import NetworkPlan
from service.engine.request import Event
from service.engine.wire import Cancel, Command, Failed, Ready, Start, Stepped, Stop, Submit, receive, send
from service.engine.worker import serve_network, work
from tests.builders import tiny_model
from tests.service.engine.segments import request
from tests.service.engine.thread_door import BEAM, ENDLESS, SECONDS, SHORT
from tests.service.engine.worker_door import ThreadChild, started_with

MODEL = tiny_model(1)


@contextmanager
def worker(**limits: Any) -> Iterator[Connection]:
    config = EngineConfig(**{"max_rows": 8, **limits})
    child = ThreadChild(lambda child: serve_network(child.theirs, started_with(EagerNetwork(MODEL)), config))
    try:
        yield child.connection
    finally:
        child.kill()
        child.connection.close()


def reports(connection: Connection, *commands: Command, ends: int) -> list[Stepped]:
    """All that is said until so many segments have ended."""
    send(connection, commands)
    heard: list[Stepped] = []
    while len(last_events(heard)) < ends:
        assert connection.poll(SECONDS)
        heard.append(receive(connection))
    return heard


def last_events(heard: list[Stepped]) -> dict[int, Event]:
    told = [pair for report in heard for pair in report.events]
    return {key: event for key, event in told if isinstance(event, FinishedEvent | FailedEvent)}


def test_a_disks_fault_while_loading_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error", "model.safetensors")

    monkeypatch.setattr("service.engine.worker.start_network", fail)
    monkeypatch.setattr("service.engine.worker.keep_freed_memory", lambda: None)
    child = ThreadChild(lambda child: work(child.theirs))
    send(child.connection, Start(bundle=Path("tiny"), plan=NetworkPlan(), config=EngineConfig()))
    assert child.connection.poll(SECONDS)
    report = receive(child.connection)
    assert isinstance(report, Failed)
    assert str(report.error) == "[Errno 5] Input/output error: 'model.safetensors'"
    child.connection.close()


def test_it_says_what_model_it_has_before_anything_else() -> None:
    with worker() as connection:
        assert receive(connection) == Ready(
            config=MODEL.config,
            dtype="float32",
            device="cpu",
            bytes_per_position=2 * 2 * 32 * 4,
            manifest_digest="digest",
        )


def test_who_joins_is_said_before_the_step_that_encodes_it() -> None:
    with worker() as connection:
        receive(connection)
        heard = reports(connection, Submit(7, request(options=SHORT), time.monotonic()), ends=1)
    assert (heard[0].joining, heard[0].facts, heard[0].events) == ((7,), (), ())
    phases = [fact.arguments[0] for report in heard[1:] for fact in report.facts if fact.name == "step"]
    assert phases[:2] == ["encode", "decode"]
    assert not any(report.joining for report in heard[1:])


def test_who_takes_a_place_is_said_with_the_answer_that_made_it_free() -> None:
    now = time.monotonic()
    with worker(max_rows=1) as connection:
        receive(connection)
        heard = reports(
            connection, *(Submit(key, request(options=SHORT), now + key) for key in (0, 1)), ends=2
        )
    handed = [report for report in heard if report.joining == (1,)]
    assert [[key for key, _ in report.events] for report in handed] == [[0]]


def behind_joining(heard: list[Stepped]) -> list[Stepped]:
    """Without what was said before the only segment joined."""
    assert heard[0].joining == (0,)
    return heard[1:]


def decode_steps(report: Stepped) -> int:
    return sum(fact.name == "step" and fact.arguments[0] == "decode" for fact in report.facts)


def test_steps_of_which_nobody_waits_to_hear_are_reported_together_and_none_is_forgotten() -> None:
    with worker() as connection:
        receive(connection)
        heard = reports(connection, Submit(0, request(options=ENDLESS), time.monotonic()), ends=1)
    steps = behind_joining(heard)
    assert len(steps) < 64
    assert sum(decode_steps(report) for report in steps) == 64
    assert [bool(report.events) for report in steps] == [False] * (len(steps) - 1) + [True]


def test_a_worker_that_works_gives_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.engine.worker.QUIET_SECONDS", 0.0)
    with worker() as connection:
        receive(connection)
        heard = reports(connection, Submit(0, request(options=ENDLESS), time.monotonic()), ends=1)
    steps = behind_joining(heard)
    assert [decode_steps(report) for report in steps] == [0, *[1] * 64]  # the first behind the encoder


def test_a_streamed_token_is_told_with_the_step_that_chose_it() -> None:
    with worker() as connection:
        receive(connection)
        streamed = Submit(0, request(options=ENDLESS, stream=True), time.monotonic())
        heard = reports(connection, streamed, ends=1)
    steps = behind_joining(heard)
    assert [decode_steps(report) for report in steps] == [1] * 64


def test_who_was_accepted_earlier_comes_first_and_has_waited_since_then() -> None:
    now = time.monotonic()
    late, early = Submit(1, request(options=SHORT), now), Submit(2, request(options=SHORT), now - 100.0)
    with worker(max_rows=1) as connection:
        receive(connection)
        heard = reports(connection, late, early, ends=2)
    assert [report.joining for report in heard if report.joining] == [(2,), (1,)]
    waited = last_events(heard)[2]
    assert isinstance(waited, FinishedEvent)
    assert waited.timings.queue_seconds >= 100.0


def test_the_length_of_the_queue_is_none_of_its_business() -> None:
    with worker(max_rows=1, max_queue_tokens=4) as connection:
        receive(connection)
        asked = [Submit(key, request(options=SHORT), time.monotonic()) for key in range(5)]
        heard = reports(connection, *asked, ends=5)
    assert all(isinstance(event, FinishedEvent) for event in last_events(heard).values())


def test_what_it_cannot_run_after_all_ends_with_the_reason() -> None:
    with worker(max_rows=1) as connection:
        receive(connection)
        heard = reports(connection, Submit(3, request(options=BEAM), time.monotonic()), ends=1)
    event = last_events(heard)[3]
    assert isinstance(event, FailedEvent)
    assert isinstance(event.error, SegmentTooLarge)


def test_cancelling_what_it_does_not_have_changes_nothing() -> None:
    with worker() as connection:
        receive(connection)
        heard = reports(
            connection, Cancel(5), Submit(6, request(options=SHORT), time.monotonic()), Cancel(5), ends=1
        )
        assert isinstance(last_events(heard)[6], FinishedEvent)


def test_told_to_stop_it_ends_though_there_is_work_left() -> None:
    config = EngineConfig(max_rows=8)
    child = ThreadChild(lambda child: serve_network(child.theirs, started_with(EagerNetwork(MODEL)), config))
    receive(child.connection)
    asked = [Submit(key, request(options=ENDLESS), time.monotonic()) for key in range(3)]
    send(child.connection, (*asked, Stop()))
    assert child.wait(SECONDS)
    child.connection.close()
