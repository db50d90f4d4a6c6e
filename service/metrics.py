"""The metrics of the service: names, types, units, labels and who reports them.

Listens to the engine, to translations and to HTTP; none of them knows prometheus. Labels are taken from
closed sets (served pairs, declared routes, codes of errors), never from what a client sent.
"""

import importlib.metadata
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import choose_encoder

from service.metric_collectors import EngineCollector, LifeCollector, ModelCollector, ProcessCollector

if TYPE_CHECKING:
    from model.decoding.strategy import Hypothesis
    from service.engine.request import SegmentTimings
    from service.lifecycle import Lifecycle
    from service.registry import ServedModel

LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
STEP_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
ROW_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
NO_PAIR = "none"
# A many-to-many model serves tens of thousands of pairs, each of which would have series of its own.
MAX_PAIRS = 200
OTHER_PAIR = "other"
# The values of labels that are known before anything has happened. `REASONS`: codes of errors that refuse.
REASONS = ("overloaded", "request_too_large", "loading", "draining", "engine_down")
STAGES = ("queued", "running")
PASSES = ("encode", "decode")
PHASES = ("schedule", *PASSES)


class Metrics:
    """One set of metrics in a registry of its own, so that two apps in one process do not mix."""

    def __init__(self) -> None:
        # A second series for each counter that says when it began tells nobody anything.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._pairs: set[str] = set()
        self._define_requests()
        self._define_work()
        self._define_engine()
        self._define_server()
        self._begin_at_zero()

    def _define_requests(self) -> None:
        registry = self.registry
        self.requests = Counter(
            "verto_requests_total", "HTTP requests answered.", ("route", "pair", "code"), registry=registry
        )
        self.request_duration = Histogram(
            "verto_request_duration_seconds",
            "From a request's arrival to the end of its answer, streams included.",
            ("route", "pair"),
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self.rejected = Counter(
            "verto_rejected_total", "Requests refused for size, load or life.", ("reason",), registry=registry
        )

    def _define_work(self) -> None:
        registry = self.registry
        self.queue_duration = Histogram(
            "verto_queue_duration_seconds",
            "Waiting of a segment until it joined the running batch.",
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self.first_token = Histogram(
            "verto_time_to_first_token_seconds",
            "From a segment's submission to its first token.",
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self.inter_token = Histogram(
            "verto_inter_token_duration_seconds",
            "Mean time between the tokens of a segment, observed once for each segment.",
            buckets=STEP_BUCKETS,
            registry=registry,
        )
        self.segments = Counter(
            "verto_segments_total", "Segments translated.", ("pair", "finish_reason"), registry=registry
        )
        self.source_tokens = Counter(
            "verto_source_tokens_total", "Source tokens accepted.", registry=registry
        )
        self.target_tokens = Counter(
            "verto_target_tokens_total", "Target tokens answered.", registry=registry
        )
        self.characters = Counter(
            "verto_characters_total", "Characters of accepted texts.", registry=registry
        )
        self.cancelled = Counter(
            "verto_cancelled_total",
            "Segments taken out of the engine since nobody waits for them, by what they were doing.",
            ("stage",),
            registry=registry,
        )
        self.coalesced = Counter(
            "verto_coalesced_total",
            "Segments that joined the computation of an identical one in flight.",
            registry=registry,
        )

    def _define_engine(self) -> None:
        registry = self.registry
        self.batch_rows = Histogram(
            "verto_batch_rows",
            "Rows of a pass: segments when encoding, rows of the batch when decoding.",
            ("phase",),
            buckets=ROW_BUCKETS,
            registry=registry,
        )
        self.step_duration = Histogram(
            "verto_step_duration_seconds",
            "Time of the passes of a step, and (phase schedule) of all that it did beside them.",
            ("phase",),
            buckets=STEP_BUCKETS,
            registry=registry,
        )
        self.padding_tokens = Counter(
            "verto_padding_tokens_total", "Padding computed beside tokens.", ("phase",), registry=registry
        )

        self.model_changes = Counter(
            "verto_model_changes_total",
            "Models loaded, swapped or unloaded while the server runs, and how that ended.",
            ("model", "change", "outcome"),
            registry=registry,
        )
        self.engine_restarts = Counter(
            "verto_engine_restarts_total",
            "Engine processes started in place of a dead one.",
            registry=registry,
        )

    def _define_server(self) -> None:
        registry = self.registry
        build = Gauge("verto_build_info", "1, with the version that runs.", ("version",), registry=registry)
        build.labels(_version()).set(1)
        self.compute_threads = Gauge(
            "verto_compute_threads", "Threads with which each engine computes on a CPU.", registry=registry
        )

    def _begin_at_zero(self) -> None:
        """A rate needs the zero before the first one; where labels are few and known, it is shown at once."""
        for reason in REASONS:
            self.rejected.labels(reason)
        for stage in STAGES:
            self.cancelled.labels(stage)
        for phase in PHASES:
            self.step_duration.labels(phase)
        for phase in PASSES:
            self.batch_rows.labels(phase)
            self.padding_tokens.labels(phase)

    # What translations report (service.translation.TranslationObserver).

    def accepted(self, pair: str, source_tokens: int, characters: int) -> None:
        """A text was accepted for translation."""
        self.source_tokens.inc(source_tokens)
        self.characters.inc(characters)

    def segment_finished(self, pair: str, hypothesis: "Hypothesis", timings: "SegmentTimings") -> None:
        """A segment of a pair was translated."""
        num_tokens = len(hypothesis.token_ids)
        self.segments.labels(self._pair(pair), hypothesis.finish_reason).inc()
        self.target_tokens.inc(num_tokens)
        self.queue_duration.observe(timings.queue_seconds)
        self.first_token.observe(timings.first_token_seconds)
        if num_tokens > 1:
            between = (timings.total_seconds - timings.first_token_seconds) / (num_tokens - 1)
            self.inter_token.observe(between)

    def _pair(self, pair: str) -> str:
        """The label: the pair itself, for as many as were seen first."""
        if pair not in self._pairs and len(self._pairs) >= MAX_PAIRS:
            return OTHER_PAIR
        self._pairs.add(pair)
        return pair

    # What HTTP reports.

    def answered(self, route: str, pair: str | None, code: int, duration_seconds: float) -> None:
        """A request was answered; `route` is a declared one, `pair` a served one."""
        label = NO_PAIR if pair is None else self._pair(pair)
        self.requests.labels(route, label, str(code)).inc()
        self.request_duration.labels(route, label).observe(duration_seconds)

    def refused(self, reason: str) -> None:
        """A request was refused for its size, for load, or for where the server is in its life."""
        self.rejected.labels(reason).inc()

    # What is told of models that come and go (service.hosting.hosting.ChangeObserver).

    def model_changed(self, model: str, change: str, outcome: str) -> None:
        """A change (load, swap, unload) was done, failed, or refused for want of memory."""
        self.model_changes.labels(model, change, outcome).inc()

    # What is looked at when somebody asks.

    def watch(self, served: Callable[[], Sequence["ServedModel"]]) -> None:
        """Show at each scrape the models that there are then, and what their engines hold and take."""
        self.registry.register(ModelCollector(served))
        self.registry.register(EngineCollector(served))
        self.registry.register(ProcessCollector(served))

    def watch_lifecycle(self, lifecycle: "Lifecycle") -> None:
        """Show at each scrape where the server is in its life, and what it serves."""
        self.watch(lambda: lifecycle.loaded.registry.models if lifecycle.loaded else ())
        self.registry.register(LifeCollector(lifecycle))

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """The scrape's body and its content type, in the format that the `Accept` header prefers."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type


class EngineMetrics:
    """Hears one engine (service.engine.observer.EngineObserver); called on the engine's thread."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def step(self, phase: str, duration_seconds: float, rows: int, padding_tokens: int) -> None:
        metrics = self._metrics
        metrics.step_duration.labels(phase).observe(duration_seconds)
        if phase == "schedule":
            return
        metrics.batch_rows.labels(phase).observe(rows)
        metrics.padding_tokens.labels(phase).inc(padding_tokens)

    def cancelled(self, stage: str) -> None:
        self._metrics.cancelled.labels(stage).inc()

    # Told on the event loop.

    def coalesced(self) -> None:
        """A segment joined the computation of an identical one."""
        self._metrics.coalesced.inc()

    # Told per request, with pair and code, by translations and by HTTP.

    def finished(
        self, finish_reason: str, source_tokens: int, target_tokens: int, timings: "SegmentTimings"
    ) -> None: ...

    def rejected(self, reason: str) -> None: ...

    def failed(self, reason: str) -> None: ...

    def restarted(self) -> None:
        self._metrics.engine_restarts.inc()


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._started = time.perf_counter()

    def seconds(self) -> float:
        return time.perf_counter() - self._started


def _version() -> str:
    """The installed version, or `unknown` where the server runs from a folder that was never installed."""
    try:
        return importlib.metadata.version("verto")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
