"""Spans of requests, made from the times that translations tell anyway; without a collector there is nothing.

    request                      POST /v1/translate, from its head to the end of its answer
    ├─ plan                      body, languages, sentences, tokens, up to the engine's door
    ├─ segment                   of the first MAX_SEGMENTS
    │  ├─ queue                  until it joined the batch
    │  ├─ first token            encoded, and decoded until something was certain
    │  └─ decode                 until it was finished
    └─ answer                    from the last segment: text of tokens, what is left to send

Knows OpenTelemetry's interface and what translations report (it listens as metrics do). Must not know texts,
nor how spans travel: service/trace_export.py does.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.log import trace_id_of_context

if TYPE_CHECKING:  # imported by those who trace, and by nobody else
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

    from model.decoding.strategy import Hypothesis
    from service.engine.request import SegmentTimings
    from service.request_record import RequestRecord
    from service.settings import Settings
    from service.translation import TranslationObserver

MAX_SEGMENTS = 16  # that have spans of their own; a request may have thousands
Value = str | int | bool

_trace_of_context: ContextVar[RequestTrace | None] = ContextVar("request_trace", default=None)


@dataclass(frozen=True, slots=True)
class _SegmentNote:
    """A finished segment. `timings` count from its submission."""

    target_tokens: int
    finish_reason: str
    timings: SegmentTimings


class RequestTrace:
    """What is heard of one request while it runs; becomes spans at its end."""

    def __init__(self, tracer: Tracer, method: str, parent: Context) -> None:
        from opentelemetry.trace import SpanKind, set_span_in_context

        self._tracer = tracer
        self._began_ns, self._began = time.time_ns(), time.perf_counter()
        self.span: Span = tracer.start_span(method, parent, SpanKind.SERVER, start_time=self._began_ns)
        self._inside = set_span_in_context(self.span)
        self._planned: float | None = None  # since the beginning, as all times here
        self._sizes = {"verto.source_tokens": 0, "verto.characters": 0}
        self._segments: list[_SegmentNote] = []

    def accepted(self, source_tokens: int, characters: int) -> None:
        """A text's segments have been handed to the engine."""
        if self._planned is None:
            self._planned = self._now()
        self._sizes["verto.source_tokens"] += source_tokens
        self._sizes["verto.characters"] += characters

    def segment_finished(self, hypothesis: Hypothesis, timings: SegmentTimings) -> None:
        """The engine has answered one."""
        note = _SegmentNote(len(hypothesis.token_ids), hypothesis.finish_reason, timings)
        self._segments.append(note)

    def end(self, name: str, attributes: Mapping[str, Value], is_failure: bool) -> None:
        """The answer has been sent, or will never be."""
        ended = self._now()
        if self.span.is_recording():
            self.span.update_name(name)
            self.span.set_attributes({**attributes, **self._totals()})
            self._write_children(ended)
            if is_failure:
                from opentelemetry.trace import StatusCode

                self.span.set_status(StatusCode.ERROR)
        self.span.end(self._ns(ended))

    def _totals(self) -> dict[str, Value]:
        if self._planned is None:
            return {}
        tokens = sum(note.target_tokens for note in self._segments)
        return {**self._sizes, "verto.target_tokens": tokens, "verto.segments": len(self._segments)}

    def _write_children(self, ended: float) -> None:
        if self._planned is None:
            return
        self._child("plan", self._inside, 0.0, self._planned)
        for note in self._segments[:MAX_SEGMENTS]:
            # The engine's time began a moment before its segments were told of; no part ends after the whole.
            self._write_segment(note, min(self._planned, ended - note.timings.total_seconds))
        if self._segments:
            last = self._planned + max(note.timings.total_seconds for note in self._segments)
            self._child("answer", self._inside, min(last, ended), ended)

    def _write_segment(self, note: _SegmentNote, submitted: float) -> None:
        from opentelemetry.trace import set_span_in_context

        timings = note.timings
        ends = (timings.queue_seconds, timings.first_token_seconds, timings.total_seconds)
        about: dict[str, Value] = {
            "verto.target_tokens": note.target_tokens,
            "verto.finish_reason": note.finish_reason,
        }
        segment = self._child("segment", self._inside, submitted, submitted + ends[-1], about)
        begin = 0.0
        for name, end in zip(("queue", "first token", "decode"), ends, strict=True):
            self._child(name, set_span_in_context(segment), submitted + begin, submitted + end)
            begin = end

    def _child(
        self,
        name: str,
        parent: Context,
        begin: float,
        end: float,
        attributes: Mapping[str, Value] | None = None,
    ) -> Span:
        span = self._tracer.start_span(name, parent, attributes=attributes, start_time=self._ns(begin))
        span.end(self._ns(end))
        return span

    def _now(self) -> float:
        return time.perf_counter() - self._began

    def _ns(self, seconds: float) -> int:
        return self._began_ns + round(seconds * 1e9)


class Tracing:
    """One per server that traces."""

    def __init__(self, tracer: Tracer) -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._tracer = tracer
        self._propagator = TraceContextTextMapPropagator()

    def begin(self, method: str, headers: Mapping[str, str]) -> RequestTrace:
        """Of a request, in whose context this is called. A `traceparent` makes it part of that trace."""
        trace = RequestTrace(self._tracer, method, self._propagator.extract(headers))
        _trace_of_context.set(trace)
        trace_id_of_context.set(f"{trace.span.get_span_context().trace_id:032x}")
        return trace

    def end(self, trace: RequestTrace, method: str, route: str, record: RequestRecord) -> None:
        """In the same context. The next request of a connection begins without."""
        _trace_of_context.set(None)
        trace_id_of_context.set(None)
        trace.end(f"{method} {route}", _attributes(method, route, record), is_failure=record.outcome >= 500)

    def listening_with(self, other: TranslationObserver) -> TranslationObserver:
        """Both hear what translations report."""
        return TracedObserver(other)


@contextmanager
def traced(settings: Settings, version: str) -> Iterator[Tracing | None]:
    """None, with nothing imported, unless a collector is named. What is left is sent when the block ends."""
    if not settings.traces_endpoint:
        yield None
        return
    from service.trace_export import TraceExport

    export = TraceExport(settings.traces_endpoint, settings.traces_sample_ratio, version)
    try:
        yield Tracing(export.tracer)
    finally:
        export.close()


def _attributes(method: str, route: str, record: RequestRecord) -> dict[str, Value]:
    """In OpenTelemetry's words for HTTP, and in our own for the rest."""
    known: dict[str, Value | None] = {
        "http.request.method": method,
        "http.route": route,
        "http.response.status_code": record.outcome,
        "verto.request_id": record.request_id,
        "verto.model": record.model,
        "verto.pair": record.pair,
    }
    return {name: value for name, value in known.items() if value is not None}


class TracedObserver:
    """Hears translations for the trace of the request that they belong to, and for another observer."""

    def __init__(self, other: TranslationObserver) -> None:
        self._other = other

    def accepted(self, pair: str, source_tokens: int, characters: int) -> None:
        self._other.accepted(pair, source_tokens, characters)
        if (trace := _trace_of_context.get()) is not None:
            trace.accepted(source_tokens, characters)

    def segment_finished(self, pair: str, hypothesis: Hypothesis, timings: SegmentTimings) -> None:
        self._other.segment_finished(pair, hypothesis, timings)
        if (trace := _trace_of_context.get()) is not None:
            trace.segment_finished(hypothesis, timings)
