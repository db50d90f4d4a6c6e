"""What those on call look at besides the work itself: bounds, silence, what is under way, refusals."""

from __future__ import annotations

import importlib.metadata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fastapi.testclient import TestClient

from service.errors import ServiceError
from service.jobs import TranslationJob
from service.lifecycle import Lifecycle
from service.metrics import REASONS
from service.settings import Settings
from tests.fakes import FakeEngine, fake_translator, served_model
from tests.service.held_service import HeldService, ask, held_service, until
from tests.service.http_client import app_client, metric


def test_what_may_be_held_is_shown_beside_what_is(tmp_path: Path) -> None:
    limits = {"max_rows": 4, "max_queue_tokens": 77, "cache_bytes_limit": 10**6}
    with held_service(tmp_path / "model", **limits) as service:
        assert service.value("queue_tokens_limit") == 77
        assert service.value("running_rows_limit") == 4
        assert service.value("cache_bytes_limit") == 10**6
        speed = service.engine.snapshot().tokens_per_second
        assert service.value("engine_tokens_per_second", model="tiny") == speed


def test_an_engine_with_work_that_says_nothing_grows_silent_and_one_without_is_not(
    service: HeldService, client: TestClient
) -> None:
    def silence() -> float:
        return service.value("engine_heartbeat_seconds", model="tiny")

    assert silence() == 0
    with ThreadPoolExecutor() as pool:
        held = pool.submit(ask, client, text="Ba de fi.")
        service.gate.arrived.acquire(timeout=20)
        until(lambda: silence() > 0.3)
        service.gate.open()
        assert held.result().status_code == 200
    until(lambda: silence() == 0)


def test_the_version_that_runs_and_its_threads_are_shown() -> None:
    client = app_client(settings=Settings(num_threads=3))
    assert metric(client, "verto_compute_threads") == 3
    assert metric(client, f'verto_build_info{{version="{importlib.metadata.version("verto")}"}}') == 1


def test_an_engine_that_cannot_be_started_is_not_up() -> None:
    engine = FakeEngine()
    client = app_client(served_model(engine))
    assert metric(client, 'verto_engine_up{model="en-de"}') == 1
    engine.is_available = False
    assert metric(client, 'verto_engine_up{model="en-de"}') == 0


def test_requests_are_counted_while_they_are_answered_and_the_scrape_is_one(
    service: HeldService, client: TestClient
) -> None:
    assert metric(client, "verto_running_requests") == 1
    with ThreadPoolExecutor() as pool:
        held = pool.submit(ask, client, text="Ba de fi.")
        service.gate.arrived.acquire(timeout=20)
        assert metric(client, "verto_running_requests") == 2
        service.gate.open()
        held.result()
    assert metric(client, "verto_running_requests") == 1


def test_tokens_that_were_let_in_and_wait_nowhere_yet_are_shown() -> None:
    translator = fake_translator()
    client = app_client(translator=translator)
    with translator._reserve(TranslationJob(texts=("one two three",), options={}, source="en"), 60.0):
        reserved = metric(client, "verto_reserved_tokens")
        assert reserved == translator.reserved_tokens > 0
    assert metric(client, "verto_reserved_tokens") == 0


def test_a_probe_that_is_answered_no_is_no_refused_request() -> None:
    client = app_client(lifecycle=Lifecycle())
    assert client.get("/health/ready").status_code == 503
    assert metric(client, 'verto_rejected_total{reason="loading"}') == 0
    assert ask(client, text="Ba.").status_code == 503
    assert metric(client, 'verto_rejected_total{reason="loading"}') == 1


def test_every_reason_to_refuse_begins_at_zero() -> None:
    errors = every_kind_of(ServiceError)
    assert {error.code for error in errors if error.status in (413, 429, 503)} == set(REASONS)
    client = app_client()
    for reason in REASONS:
        assert metric(client, f'verto_rejected_total{{reason="{reason}"}}') == 0


def every_kind_of(error: type[ServiceError]) -> list[type[ServiceError]]:
    return [error, *(kind for one in error.__subclasses__() for kind in every_kind_of(one))]


def test_without_models_nothing_is_said_of_engines() -> None:
    text = app_client(lifecycle=Lifecycle()).get("/metrics").text
    assert "verto_backlog_seconds" not in text
    assert "verto_ready 0.0" in text
