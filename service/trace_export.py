"""Carries spans to a collector (OTLP over HTTP), in the background; losing it never holds up a request.

Imported only where a collector is named. Knows OpenTelemetry's SDK and the settings of traces. Must not know
what is traced. A span that ends goes into a queue of QUEUE_SPANS; a thread sends what is in it once a second,
and what does not fit is dropped. The library's own log lines, several for each lost batch, are silenced for
one of ours when a collector is lost and one when it is there again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Tracer

logger = logging.getLogger(__name__)

DEFAULT_PATH = "/v1/traces"  # of OTLP over HTTP
QUEUE_SPANS, BATCH_SPANS = 4096, 512
INTERVAL_SECONDS = 1.0
SEND_SECONDS = 5.0  # for one batch, however often it is tried
CLOSE_SECONDS = 5.0  # for what is left at the end


class TraceExport:
    """Makes the tracer; `close` sends what is left."""

    def __init__(self, endpoint: str, sample_ratio: float, version: str) -> None:
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._exporter = QuietExporter(
            OTLPSpanExporter(full_address(endpoint), timeout=SEND_SECONDS), endpoint
        )
        self._provider = TracerProvider(
            # Who calls us has decided already, for us too.
            sampler=ParentBased(TraceIdRatioBased(sample_ratio)),
            resource=resource(version),
            shutdown_on_exit=False,
        )
        processor = BatchSpanProcessor(
            self._exporter,
            max_queue_size=QUEUE_SPANS,
            max_export_batch_size=BATCH_SPANS,
            schedule_delay_millis=INTERVAL_SECONDS * 1000,
        )
        self._provider.add_span_processor(processor)

    @property
    def tracer(self) -> Tracer:
        return self._provider.get_tracer("verto")

    def close(self) -> None:
        """Send what is left, for at most `CLOSE_SECONDS`: a lost collector does not hold up the end."""
        self._exporter.is_closing = True
        closing = threading.Thread(target=self._provider.shutdown, name="verto-traces-end", daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)


class QuietExporter(SpanExporter):
    """Another exporter, with a log line whenever the collector is lost or found again."""

    def __init__(self, other: SpanExporter, endpoint: str) -> None:
        self._other, self._endpoint = other, endpoint
        self._is_lost = False
        self.is_closing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self.is_closing and self._is_lost:  # one try after another would take for ever
            return SpanExportResult.FAILURE
        result = self._other.export(spans)
        is_lost = result is not SpanExportResult.SUCCESS
        if is_lost != self._is_lost:
            self._is_lost = is_lost
            level, message = _NEWS[is_lost]
            logger.log(level, message, extra={"endpoint": _without_secrets(self._endpoint)})
        return result

    def shutdown(self) -> None:
        self._other.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._other.force_flush(timeout_millis)


_NEWS = {
    True: (logging.WARNING, "traces are not delivered; requests are served as before"),
    False: (logging.INFO, "traces are delivered again"),
}


def full_address(endpoint: str) -> str:
    """With OTLP's own path where none was given."""
    parts = urlsplit(endpoint)
    return endpoint if parts.path.strip("/") else parts._replace(path=DEFAULT_PATH).geturl()


def resource(version: str) -> Resource:
    """What every span says of its server; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES have their say."""
    found = Resource.create({SERVICE_VERSION: version})
    if str(found.attributes.get(SERVICE_NAME, "unknown_service")).startswith("unknown_service"):
        found = found.merge(Resource({SERVICE_NAME: "verto"}))
    return found


def _without_secrets(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
