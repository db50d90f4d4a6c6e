"""A collector of traces: takes spans over HTTP as OTLP says, and answers as a test wants.

Knows the protocol. Must not know who sends, or what the spans should be.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

PATIENCE = 30.0


@dataclass(frozen=True)
class Received:
    """One span. Ids as hexadecimal digits, times in nanoseconds."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    began: int
    ended: int
    attributes: dict[str, object]
    status: int
    resource: dict[str, object]


class Collector:
    """`status`: what it answers from now on."""

    def __init__(self) -> None:
        self.spans: list[Received] = []
        self.status = 200
        self.endpoint = ""

    def take(self, body: bytes) -> None:
        """Keep the spans of one request."""
        for sent in ExportTraceServiceRequest.FromString(body).resource_spans:
            about = _values(sent.resource.attributes)
            for scope in sent.scope_spans:
                self.spans += [
                    Received(
                        span.name,
                        span.trace_id.hex(),
                        span.span_id.hex(),
                        span.parent_span_id.hex(),
                        span.kind,
                        span.start_time_unix_nano,
                        span.end_time_unix_nano,
                        _values(span.attributes),
                        span.status.code,
                        about,
                    )
                    for span in scope.spans
                ]

    def named(self, name: str, parent: Received | None = None) -> list[Received]:
        """In the order of their beginnings; `parent`: only children of this one."""
        found = [one for one in self.spans if one.name == name]
        if parent is not None:
            found = [one for one in found if one.parent_id == parent.span_id]
        return sorted(found, key=lambda one: one.began)

    def request(self, request_id: str) -> Received:
        """The span of the request with this id, as soon as it is there."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for one in list(self.spans):
                if one.attributes.get("verto.request_id") == request_id:
                    return one
            time.sleep(0.02)
        raise AssertionError(f"no span of request {request_id} among {[one.name for one in self.spans]}")


def _values(pairs: Iterator[KeyValue]) -> dict[str, object]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in pairs}


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a free port until the block is left."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = collector.status if self.path == "/v1/traces" else 404
            if status == 200:
                collector.take(body)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.endpoint = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()
