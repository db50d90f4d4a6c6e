"""Every metric against work whose numbers are known: nothing is counted twice, or not at all.

The engine is real and tiny; greedy search with a length limit makes steps and rows countable.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from model.blocks import whole_blocks
from service.metrics import EngineMetrics, Metrics
from tests.fakes import FakeEngine, served_model
from tests.service.engine.by_hand import engine
from tests.service.engine.segments import request
from tests.service.held_service import ENDLESS, HeldService, ask, client_of, held_service, until
from tests.service.http_client import app_client, read_events

TEXTS = ["Ba de fi.", "Go hu ka le mi. No pu.", "42", "Tö wü!"]
# Of the design, section 6; `model`'s histograms stand for their `_count`.
LABELS = {
    "requests_total": {"route", "pair", "code"},
    "request_duration_seconds": {"route", "pair"},
    "queue_duration_seconds": set(),
    "time_to_first_token_seconds": set(),
    "inter_token_duration_seconds": set(),
    "segments_total": {"pair", "finish_reason"},
    "source_tokens_total": set(),
    "target_tokens_total": set(),
    "characters_total": set(),
    "queue_segments": set(),
    "queue_tokens": set(),
    "running_segments": set(),
    "running_rows": set(),
    "batch_rows": {"phase"},
    "step_duration_seconds": {"phase"},
    "padding_tokens_total": {"phase"},
    "cache_bytes_used": set(),
    "cache_bytes_limit": set(),
    "rejected_total": {"reason"},
    "cancelled_total": {"stage"},
    "coalesced_total": set(),
    "engine_restarts_total": set(),
    "model_info": {"model", "version", "dtype", "device", "path"},
    "model_load_duration_seconds": {"model"},
    "ready": set(),
    "draining": set(),
    "backlog_seconds": set(),
}
# What those on call need besides. Of engines that are processes see test_process_metrics.py.
MORE_LABELS = {
    "running_requests": set(),
    "reserved_tokens": set(),
    "queue_tokens_limit": set(),
    "running_rows_limit": set(),
    "engine_up": {"model"},
    "engine_heartbeat_seconds": {"model"},
    "engine_tokens_per_second": {"model"},
    "api_resident_memory_bytes": set(),
    "api_cpu_seconds_total": set(),
    "api_threads": set(),
    "api_open_files": set(),
    "api_open_files_limit": set(),
    "memory_limit_bytes": set(),
    "start_time_seconds": set(),
    "compute_threads": set(),
    "build_info": {"version"},
}


def requests(service: HeldService, code: int, pair: str) -> float:
    return service.value("requests_total", route="/v1/translate", code=str(code), pair=pair)


def test_every_metric_of_the_design_exists_with_exactly_its_labels(
    service: HeldService, client: TestClient
) -> None:
    service.gate.open()
    ask(client, text="Ba de fi.")
    ask(client, text="x" * 100_001)
    names: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(client.get("/metrics").text):
        kind = "_total" if family.type == "counter" else ""
        for sample in family.samples:
            labels = names.setdefault(family.name.removeprefix("verto_") + kind, set())
            labels |= set(sample.labels) - {"le"}
    assert names == LABELS | MORE_LABELS


@pytest.mark.parametrize("stream", [False, True])
def test_texts_tokens_segments_rows_and_steps_are_counted_once(
    service: HeldService, client: TestClient, stream: bool
) -> None:
    service.gate.open()
    target_tokens, source_tokens, characters = 0, 0, 0
    for text in TEXTS:
        options = {"strategy": "greedy", "min_length": 4, "max_length": 5}
        answer = ask(client, text=text, stream=stream, **options)
        usage = read_events(answer.text)[-1].data["usage"] if stream else answer.json()["usage"]
        target_tokens += usage["target_tokens"]
        source_tokens += usage["source_tokens"]
        characters += usage["characters"]
    assert characters == sum(map(len, TEXTS))
    # Four segments: the number passes through. Each ends after exactly five steps, four tokens and then
    # either `</s>` or the limit.
    ended = {reason: service.value("segments_total", pair="en-de", finish_reason=reason) for reason in WAYS}
    assert sum(ended.values()) == 4
    assert target_tokens == 4 * ended["stop"] + 5 * ended["length"]
    assert {
        "requests": requests(service, 200, "en-de"),
        "durations": service.value("request_duration_seconds_count", route="/v1/translate", pair="en-de"),
        "source": service.value("source_tokens_total"),
        "target": service.value("target_tokens_total"),
        "characters": service.value("characters_total"),
        "queued": service.value("queue_duration_seconds_count"),
        "first": service.value("time_to_first_token_seconds_count"),
        "between": service.value("inter_token_duration_seconds_count"),
        "encoded": service.value("batch_rows_sum", phase="encode"),
        "decoded": service.value("batch_rows_sum", phase="decode"),
    } == {
        "requests": 4,
        "durations": 4,
        "source": source_tokens,
        "target": target_tokens,
        "characters": characters,
        "queued": 4,
        "first": 4,
        "between": 4,
        "encoded": 4,
        "decoded": 4 * 5,  # one row for each segment and step, in whatever company
    }
    assert service.value("step_duration_seconds_count", phase="decode") == service.value(
        "batch_rows_count", phase="decode"
    )
    assert service.value("step_duration_seconds_count", phase="schedule") >= service.value(
        "batch_rows_count", phase="decode"
    )
    assert_nothing_else(service)


WAYS = ("stop", "length")


def assert_nothing_else(service: HeldService, **expected: float) -> None:
    """What did not happen is not counted, and nothing is held any more."""
    counted = {
        "overloaded": service.value("rejected_total", reason="overloaded"),
        "too_large": service.value("rejected_total", reason="request_too_large"),
        "draining": service.value("rejected_total", reason="draining"),
        "queued": service.value("cancelled_total", stage="queued"),
        "running": service.value("cancelled_total", stage="running"),
        "coalesced": service.value("coalesced_total"),
        "restarts": service.value("engine_restarts_total"),
    }
    assert {name: count for name, count in counted.items() if count} == expected
    for gauge in ("queue_segments", "queue_tokens", "running_segments", "running_rows", "cache_bytes_used"):
        assert service.value(gauge) == 0
    assert service.value("backlog_seconds") == 0


def test_gauges_say_what_is_held_at_the_moment(tmp_path: Path) -> None:
    with (
        held_service(tmp_path / "model", max_rows=4, cache_bytes_limit=10**6) as service,
        client_of(service) as client,
        ThreadPoolExecutor() as pool,
    ):
        running = pool.submit(ask, client, text="Ba de fi.", max_length=9)  # a beam of four rows
        service.gate.arrived.acquire(timeout=20)
        waiting = pool.submit(ask, client, text="Go hu ka.", max_length=9)
        until(lambda: service.value("queue_segments") == 1)
        tokens = {
            text: len(service.bundle.tokenizer.encode_source(text)) for text in ("Ba de fi.", "Go hu ka.")
        }
        config = service.bundle.model.config
        position = 2 * config.num_decoder_layers * config.d_model * 4
        assert service.value("queue_tokens") == tokens["Go hu ka."]
        assert (service.value("running_segments"), service.value("running_rows")) == (1, 4)
        assert service.value("cache_bytes_used") == position * (
            4 * whole_blocks(9) + whole_blocks(tokens["Ba de fi."])
        )
        assert service.value("cache_bytes_limit") == 10**6
        speed = service.engine.snapshot().tokens_per_second
        assert service.value("backlog_seconds") == pytest.approx(tokens["Go hu ka."] / speed)
        service.gate.open()
        assert (running.result().status_code, waiting.result().status_code) == (200, 200)
        assert_nothing_else(service)


def test_a_joined_computation_is_answered_twice_and_computed_once(
    service: HeldService, client: TestClient
) -> None:
    with ThreadPoolExecutor() as pool:
        first = pool.submit(ask, client, text="Ba de fi.", **ENDLESS)
        service.gate.arrived.acquire(timeout=20)
        second = pool.submit(ask, client, text="Ba de fi.", **ENDLESS)
        until(lambda: service.value("coalesced_total") == 1)
        service.gate.open()
        usage = [one.result().json()["usage"] for one in (first, second)]
    assert usage[0] == usage[1]
    assert service.value("source_tokens_total") == 2 * usage[0]["source_tokens"]
    assert service.value("target_tokens_total") == 2 * 64
    assert service.value("segments_total", pair="en-de", finish_reason="length") == 2
    assert service.value("batch_rows_sum", phase="encode") == 1
    assert service.value("batch_rows_sum", phase="decode") == 64
    assert requests(service, 200, "en-de") == 2
    assert_nothing_else(service, coalesced=1)


def test_refusals_are_counted_by_their_reason_and_are_no_work(
    service: HeldService, client: TestClient
) -> None:
    assert ask(client, text="x" * 100_001).status_code == 413
    assert ask(client, text="Ba.", beam_size=0).status_code == 422
    service.lifecycle.begin_draining()
    assert ask(client, text="Ba.").status_code == 503
    codes = {code: requests(service, code, "none") for code in (200, 413, 422, 503)}
    assert codes == {200: 0, 413: 1, 422: 1, 503: 1}
    assert service.value("source_tokens_total") == service.value("characters_total") == 0
    assert (service.value("ready"), service.value("draining")) == (0, 1)
    assert_nothing_else(service, too_large=1, draining=1)


def test_a_full_queue_is_counted_as_overload() -> None:
    full = FakeEngine()
    full.queue_tokens = full.max_queue_tokens
    client = app_client(served_model(full))
    assert [ask(client, text="Ba.").status_code for _ in range(3)] == [429] * 3
    text = client.get("/metrics").text
    assert 'verto_rejected_total{reason="overloaded"} 3.0' in text
    assert 'verto_requests_total{code="429",pair="none",route="/v1/translate"} 3.0' in text
    assert "verto_source_tokens_total 0.0" in text


def test_a_passed_deadline_is_accepted_work_without_an_answer(
    service: HeldService, client: TestClient
) -> None:
    assert ask(client, text="Ba de fi.", timeout_ms=200, **ENDLESS).status_code == 504
    service.gate.open()
    until(lambda: service.value("cancelled_total", stage="running") == 1)
    assert service.value("running_rows") == 0
    assert requests(service, 504, "en-de") == 1
    assert service.value("source_tokens_total") > 0
    assert service.value("target_tokens_total") == service.value("queue_duration_seconds_count") == 0
    assert_nothing_else(service, running=1)


def test_a_failed_step_is_accepted_work_without_an_answer(service: HeldService, client: TestClient) -> None:
    service.gate.failure = RuntimeError("out of memory")
    service.gate.open()
    assert ask(client, text="Ba de fi.").status_code == 500
    assert requests(service, 500, "en-de") == 1
    assert service.value("segments_total", pair="en-de", finish_reason="stop") == 0
    assert service.value("batch_rows_count", phase="decode") == 0  # the step did not happen
    assert service.value("batch_rows_sum", phase="encode") == 1
    assert_nothing_else(service)


def test_padding_is_what_shorter_sources_and_rows_lack() -> None:
    metrics = Metrics()
    one = engine(ear=EngineMetrics(metrics))  # type: ignore[arg-type]
    one.submit(request((5, 6, 7, 8, 3)))
    one.submit(request((5, 3)))
    one.step()
    assert metrics.registry.get_sample_value("verto_padding_tokens_total", {"phase": "encode"}) == 3
    assert metrics.registry.get_sample_value("verto_padding_tokens_total", {"phase": "decode"}) == 3


def test_models_and_restarts_are_shown(service: HeldService) -> None:
    labels = {"model": "tiny", "version": "1", "dtype": "float32", "device": "cpu", "path": "eager"}
    assert service.value("model_info", **labels) == 1
    assert service.value("model_load_duration_seconds", model="tiny") == 0.25
    assert (service.value("ready"), service.value("draining")) == (1, 0)
    EngineMetrics(service.metrics).restarted()
    assert_nothing_else(service, restarts=1)
