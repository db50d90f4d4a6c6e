"""A real server sends the spans of real requests to a collector, the last ones at its end."""

import http.client
import json
import signal
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from tests.server_process import PATIENCE, Server, serve
from tests.service.trace_collector import Collector, Received, collecting

pytestmark = pytest.mark.slow

LONG_TEXT = " ".join(
    f"Yesterday {n} old friends of mine walked to the market by the river." for n in range(300)
)
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@dataclass(frozen=True)
class Traced:
    """A ready server and the collector that it was told of."""

    server: Server
    url: str
    collector: Collector

    def translate(self, request_id: str, text: str = "Good morning, my friends.", **body: object) -> int:
        """The status; a stream is read to its end."""
        headers = {"X-Request-ID": request_id, "traceparent": f"00-{TRACE}-{CALLER}-01"}
        content = {"text": text, "source": "en", "target": "de", **body}
        return httpx.post(
            f"{self.url}/v1/translate", json=content, headers=headers, timeout=PATIENCE
        ).status_code

    def leave_a_stream(self, request_id: str) -> None:
        """Read its first bytes and go."""
        where = urllib.parse.urlsplit(self.url)
        connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=PATIENCE)
        headers = {"X-Request-ID": request_id, "Content-Type": "application/json"}
        body = {"text": LONG_TEXT, "source": "en", "target": "de", "stream": True}
        connection.request("POST", "/v1/translate", json.dumps(body), headers)
        assert connection.getresponse().read(20)
        connection.close()


@pytest.fixture(scope="module")
def traced() -> Iterator[Traced]:
    with pytest.MonkeyPatch.context() as patch, collecting() as collector:
        patch.setenv("VERTO_TRACES_ENDPOINT", collector.endpoint)
        with serve("--log-format", "json") as server:
            url = str(server.wait_for_line("ready")["url"])
            yield Traced(server, url, collector)


def children(collector: Collector, parent: Received) -> list[Received]:
    return [one for one in collector.spans if one.parent_id == parent.span_id]


@pytest.mark.parametrize("stream", [False, True])
def test_a_translation_arrives_with_times_that_fit_into_each_other(traced: Traced, stream: bool) -> None:
    request_id = f"translated-{stream}"
    assert traced.translate(request_id, stream=stream) == 200
    request = traced.collector.request(request_id)
    assert (request.trace_id, request.parent_id) == (TRACE, CALLER)
    parts = sorted(children(traced.collector, request), key=lambda one: one.began)
    assert [one.name for one in parts] == ["plan", "segment", "answer"]
    inside = sorted(children(traced.collector, parts[1]), key=lambda one: one.ended)
    assert [one.name for one in inside] == ["queue", "first token", "decode"]
    for one in (*parts, *inside):
        assert one.began <= one.ended
        assert request.began <= one.began
        assert one.ended <= request.ended + 2e6  # the engine's clock is another process's
    assert inside[-1].ended == parts[1].ended


def test_a_passed_deadline_arrives_as_a_failure(traced: Traced) -> None:
    assert traced.translate("late", LONG_TEXT, timeout_ms=300) == 504
    request = traced.collector.request("late")
    assert (request.attributes["http.response.status_code"], request.status) == (504, 2)


def test_a_client_that_goes_arrives_as_one(traced: Traced) -> None:
    traced.leave_a_stream("gone")
    request = traced.collector.request("gone")
    assert (request.attributes["http.response.status_code"], request.status) == (499, 0)


def test_what_is_left_is_sent_at_the_end(traced: Traced) -> None:
    assert traced.translate("last") == 200
    traced.server.process.send_signal(signal.SIGTERM)
    assert traced.server.end() == 0
    assert traced.collector.request("last").name == "POST /v1/translate"
    logged = [json.loads(line) for line in traced.server.lines if '"request_id": "last"' in line]
    assert [line["trace_id"] for line in logged] == [TRACE]


def test_a_collector_that_is_not_there_delays_neither_requests_nor_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VERTO_TRACES_ENDPOINT", "http://127.0.0.1:1")
    with serve("--log-format", "json") as server:
        url = str(server.wait_for_line("ready")["url"])
        assert [Traced(server, url, Collector()).translate(f"{n}") for n in range(5)] == [200] * 5
        server.process.send_signal(signal.SIGTERM)
        assert server.end() == 0
    warned = [json.loads(line) for line in server.lines if '"level": "info"' not in line]
    assert [line["message"] for line in warned] == ["traces are not delivered; requests are served as before"]
