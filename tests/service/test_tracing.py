"""Spans that a collector gets of requests: which, with which parents, and never with a text."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace.export import SpanExportResult

from service.app import create_app
from service.engine.errors import DeadlineExceeded
from service.log import JsonFormatter
from service.metrics import Metrics
from service.settings import Settings, SettingsError, resolve_settings
from service.trace_export import QuietExporter, full_address, resource
from service.tracing import MAX_SEGMENTS, traced
from tests.fakes import FakeEngine, fake_translator, served_model
from tests.service.trace_collector import Collector, Received, collecting

ROOT = Path(__file__).resolve().parents[2]
SECRET = "Geheimnis"
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SERVER, INTERNAL = 2, 1  # kinds, as OTLP counts them
OK, ERROR = 0, 2


@contextmanager
def traced_client(
    endpoint: str, *, ratio: float = 1.0, engine: FakeEngine | None = None
) -> Iterator[TestClient]:
    """An app over a fake engine, whose traces go to the endpoint; all are sent when the block ends."""
    settings = Settings(traces_endpoint=endpoint, traces_sample_ratio=ratio)
    metrics = Metrics()
    with traced(settings, "1.2.3") as tracing:
        assert tracing is not None
        listening: Any = tracing.listening_with(metrics)
        translator = fake_translator(served_model(engine or FakeEngine()), metrics=listening)
        app = create_app(translator, settings, metrics=metrics, tracing=tracing)
        yield TestClient(app, raise_server_exceptions=False)


def spans_of(
    body: dict[str, Any], headers: dict[str, str] | None = None, engine: FakeEngine | None = None
) -> tuple[Collector, Received]:
    """All spans of one request, and that of the request itself."""
    with collecting() as collector:
        with traced_client(collector.endpoint, engine=engine) as client:
            response = client.post("/v1/translate", json=body, headers=headers)
        return collector, collector.request(response.headers["x-request-id"])


def names(spans: list[Received]) -> list[str]:
    return [one.name for one in spans]


def children(collector: Collector, parent: Received) -> list[str]:
    return sorted(names([one for one in collector.spans if one.parent_id == parent.span_id]))


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_becomes_a_tree_of_spans(stream: bool) -> None:
    collector, request = spans_of({"text": f"{SECRET} eins. {SECRET} zwei.", "stream": stream})
    assert (request.name, request.kind, request.parent_id) == ("POST /v1/translate", SERVER, "")
    assert children(collector, request) == ["answer", "plan", "segment", "segment"]
    for segment in collector.named("segment", request):
        assert children(collector, segment) == ["decode", "first token", "queue"]
        assert segment.attributes == {"verto.target_tokens": 15, "verto.finish_reason": "stop"}
    assert len(collector.spans) == 11
    assert {one.trace_id for one in collector.spans} == {request.trace_id}
    assert {one.status for one in collector.spans} == {OK}
    assert SECRET not in str(collector.spans)


def test_a_request_says_what_it_was_by_sizes_and_names() -> None:
    _, request = spans_of({"text": "abc. def."})
    del request.attributes["verto.request_id"]
    assert request.attributes == {
        "http.request.method": "POST",
        "http.route": "/v1/translate",
        "http.response.status_code": 200,
        "verto.model": "en-de",
        "verto.pair": "en-de",
        "verto.characters": 9,
        "verto.source_tokens": 8,
        "verto.target_tokens": 8,
        "verto.segments": 2,
    }
    assert request.resource["service.name"] == "verto"
    assert request.resource["service.version"] == "1.2.3"


def test_the_times_of_a_segment_are_those_of_the_engine() -> None:
    collector, request = spans_of({"text": "abc"})
    (segment,) = collector.named("segment", request)
    parts = collector.named("queue", segment) + collector.named("first token", segment)
    parts += collector.named("decode", segment)
    assert [one.ended - one.began for one in parts] == pytest.approx([1e6] * 3, abs=2)  # of the fake
    assert [parts[0].ended, parts[1].ended] == [parts[1].began, parts[2].began]
    (plan,) = collector.named("plan", request)
    assert request.began == plan.began
    assert segment.began <= plan.ended
    assert segment.ended <= request.ended + 2  # the fake says that it took longer than the whole request
    assert request.ended >= collector.named("answer", request)[0].began


def test_the_trace_of_a_caller_is_continued() -> None:
    collector, request = spans_of({"text": "abc"}, {"traceparent": f"00-{TRACE}-{CALLER}-01"})
    assert (request.trace_id, request.parent_id) == (TRACE, CALLER)
    assert {one.trace_id for one in collector.spans} == {TRACE}


@pytest.mark.parametrize("header", ["nonsense", f"00-{'0' * 32}-{CALLER}-01", "ff-é-01"])
def test_a_traceparent_that_is_none_begins_a_trace_of_its_own(header: str) -> None:
    with collecting() as collector:
        with traced_client(collector.endpoint) as client:
            headers = {"traceparent": header.encode("latin-1")}
            assert client.post("/v1/translate", json={"text": "a"}, headers=headers).status_code == 200
        assert len({one.trace_id for one in collector.spans}) == 1
        assert TRACE not in {one.trace_id for one in collector.spans}


def test_of_a_long_text_only_the_first_segments_have_spans_of_their_own() -> None:
    collector, request = spans_of({"text": "Eins zwei. " * 40})
    assert len(collector.named("segment", request)) == MAX_SEGMENTS
    assert request.attributes["verto.segments"] == 40


def test_a_refusal_is_the_callers_fault_and_has_no_children() -> None:
    collector, request = spans_of({"text": "abc", "beam_size": 0})
    assert names(collector.spans) == ["POST /v1/translate"]
    assert (request.attributes["http.response.status_code"], request.status) == (422, OK)


@pytest.mark.parametrize("stream", [False, True])
def test_a_failure_is_marked_also_where_a_stream_had_begun(stream: bool) -> None:
    engine = FakeEngine(fail=DeadlineExceeded("running"))
    collector, request = spans_of({"text": "abc def", "stream": stream}, engine=engine)
    assert (request.attributes["http.response.status_code"], request.status) == (504, ERROR)
    assert children(collector, request) == ["plan"]


def test_probes_and_scrapes_are_not_traced_other_addresses_are() -> None:
    with collecting() as collector:
        with traced_client(collector.endpoint) as client:
            for path in ("/health/ready", "/metrics", "/v1/models", "/nothing/here"):
                client.get(path)
        assert sorted(names(collector.spans)) == ["GET /v1/models", "GET unmatched"]


@pytest.mark.parametrize(("header", "ratio"), [(None, 0.0), (f"00-{TRACE}-{CALLER}-00", 1.0)])
def test_what_is_not_sampled_is_not_sent(header: str | None, ratio: float) -> None:
    with collecting() as collector:
        with traced_client(collector.endpoint, ratio=ratio) as client:
            headers = {"traceparent": header} if header else {}
            assert client.post("/v1/translate", json={"text": "a"}, headers=headers).status_code == 200
        assert collector.spans == []


def test_log_lines_of_a_traced_request_have_its_trace(caplog: pytest.LogCaptureFixture) -> None:
    lines: list[dict[str, Any]] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(json.loads(JsonFormatter().format(record)))  # type: ignore[method-assign]
    access = logging.getLogger("service.access")
    access.addHandler(handler)
    try:
        with caplog.at_level(logging.INFO, "service.access"):
            spans_of({"text": "a"}, {"traceparent": f"00-{TRACE}-{CALLER}-01"})
            TestClient(create_app(fake_translator(), Settings())).get("/v1/models")
    finally:
        access.removeHandler(handler)
    assert [line.get("trace_id") for line in lines] == [TRACE, None]


class Exporter:
    """Answers as it is told."""

    def __init__(self) -> None:
        self.result, self.calls = SpanExportResult.SUCCESS, 0

    def export(self, spans: object) -> SpanExportResult:
        self.calls += 1
        return self.result

    def shutdown(self) -> None: ...


def test_a_lost_collector_is_one_line_and_its_return_another(caplog: pytest.LogCaptureFixture) -> None:
    other: Any = Exporter()
    exporter = QuietExporter(other, "http://ada:secret@collector:4318/v1/traces?key=secret")
    with caplog.at_level(logging.INFO, "service.trace_export"):
        for result in [SpanExportResult.SUCCESS, *[SpanExportResult.FAILURE] * 3, SpanExportResult.SUCCESS]:
            other.result = result
            exporter.export([])
    assert [(one.levelname, one.getMessage().partition(";")[0]) for one in caplog.records] == [
        ("WARNING", "traces are not delivered"),
        ("INFO", "traces are delivered again"),
    ]
    assert {one.__dict__["endpoint"] for one in caplog.records} == {"http://collector:4318/v1/traces"}


def test_at_the_end_a_lost_collector_is_not_tried_again() -> None:
    other: Any = Exporter()
    exporter = QuietExporter(other, "http://collector:4318")
    exporter.is_closing = True
    exporter.export([])  # what is left is tried
    other.result = SpanExportResult.FAILURE
    exporter.export([])
    exporter.export([])
    assert other.calls == 2


def test_a_dead_collector_hurts_no_request(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), traced_client("http://127.0.0.1:1") as client:
        for _ in range(3):
            assert (
                client.post("/v1/translate", json={"text": "abc"}).json()["translations"][0]["text"] == "abc"
            )
    warned = [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]
    assert warned == ["traces are not delivered; requests are served as before"]


# Off means: not even imported, whatever a client sends.
_OFF = """
import sys
from fastapi.testclient import TestClient
from service.app import create_app
from service.settings import Settings
from service.tracing import traced
from tests.fakes import fake_translator
with traced(Settings(), "1") as tracing:
    assert tracing is None
    client = TestClient(create_app(fake_translator(), Settings(), tracing=tracing))
    headers = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
    assert client.post("/v1/translate", json={"text": "abc"}, headers=headers).status_code == 200
import service.loading, service.serving, cli.serve
print([name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))])
"""


def test_without_a_collector_nothing_of_it_is_imported() -> None:
    done = subprocess.run([sys.executable, "-c", _OFF], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        ("http://collector:4318", "http://collector:4318/v1/traces"),
        ("http://collector:4318/", "http://collector:4318/v1/traces"),
        ("https://collector/otlp/v1/traces", "https://collector/otlp/v1/traces"),
    ],
)
def test_an_address_without_a_path_gets_that_of_the_protocol(endpoint: str, address: str) -> None:
    assert full_address(endpoint) == address


def test_the_name_of_a_service_can_be_chosen_as_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "translations")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=staging")
    attributes = resource("1.0").attributes
    assert attributes["service.name"] == "translations"
    assert attributes["deployment.environment.name"] == "staging"


@pytest.mark.parametrize(
    ("variable", "value", "field"),
    [
        ("VERTO_TRACES_ENDPOINT", "collector:4318", "traces_endpoint"),
        ("VERTO_TRACES_ENDPOINT", "grpc://collector:4317", "traces_endpoint"),
        ("VERTO_TRACES_SAMPLE_RATIO", "1.5", "traces_sample_ratio"),
        ("VERTO_TRACES_SAMPLE_RATIO", "-0.1", "traces_sample_ratio"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(
    variable: str, value: str, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=f"{field} \\(environment {variable}\\)"):
        resolve_settings()
