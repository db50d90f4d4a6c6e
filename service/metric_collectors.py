"""Metrics that are read at the moment of a scrape: what engines hold, how models run, what processes take.

Knows snapshots, models, the server's life, /proc. Must not know requests, or what happened between two
scrapes: that is counted in metrics.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from service.engine.memory import memory_limit
from service.processes import ProcessUsage, num_open_files, open_files_limit, usage_of

if TYPE_CHECKING:
    from service.engine.config import EngineSnapshot
    from service.lifecycle import Lifecycle
    from service.registry import ServedModel

Models = Callable[[], Sequence["ServedModel"]]


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"verto_{name}", text, value=value)


def _by_model(name: str, text: str, values: Iterable[tuple[str, float]]) -> Metric:
    family = GaugeMetricFamily(f"verto_{name}", text, labels=("model",))
    for model, value in values:
        family.add_metric((model,), value)
    return family


class LifeCollector(Collector):
    """Where the server is in its life, and what it has let in."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle

    def collect(self) -> Iterator[Metric]:
        life, loaded = self._lifecycle, self._lifecycle.loaded
        yield _gauge("ready", "1 while new work is taken.", life.is_ready)
        yield _gauge("draining", "1 while only accepted work is finished.", life.phase == "draining")
        yield _gauge("running_requests", "HTTP requests that are being answered.", life.running_requests)
        reserved = 0 if loaded is None else loaded.reserved_tokens
        yield _gauge(
            "reserved_tokens", "Source tokens let in that are on their way to an engine's queue.", reserved
        )


class ModelCollector(Collector):
    """What each model is run as at the moment of a scrape: its path may change while it is served."""

    LABELS = ("model", "version", "dtype", "device", "path")

    def __init__(self, models: Models) -> None:
        self._models = models

    def collect(self) -> Iterator[Metric]:
        models = self._models()
        family = GaugeMetricFamily("verto_model_info", "1 for each loaded model.", labels=self.LABELS)
        for model in models:
            family.add_metric((model.name, model.version, model.dtype, model.device, model.path), 1)
        yield family
        yield _by_model(
            "model_load_duration_seconds",
            "Time that loading a model took.",
            ((model.name, model.load_seconds) for model in models),
        )


class EngineCollector(Collector):
    """What the engines hold at the moment of a scrape: work together, health each."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def collect(self) -> Iterator[Metric]:
        held = {model.name: model.engine.snapshot() for model in self._models()}
        if not held:  # while models are loaded there is no backlog to tell an autoscaler of, not even none
            return
        yield from _held_together(list(held.values()))
        yield from _health_of_each(held)


def _held_together(held: Sequence[EngineSnapshot]) -> Iterator[Metric]:
    def total(name: str) -> float:
        return float(sum(getattr(one, name) for one in held))

    yield _gauge("queue_segments", "Segments that wait.", total("queue_segments"))
    yield _gauge("queue_tokens", "Source tokens that wait.", total("queue_tokens"))
    yield _gauge("queue_tokens_limit", "Source tokens that may wait.", total("max_queue_tokens"))
    yield _gauge("running_segments", "Segments in the batch.", total("running_segments"))
    yield _gauge("running_rows", "Rows in the batch.", total("running_rows"))
    yield _gauge("running_rows_limit", "Rows that the batch may have.", total("max_rows"))
    yield _gauge("cache_bytes_used", "Bytes reserved for keys and values.", total("cache_bytes_used"))
    yield _gauge("cache_bytes_limit", "Bytes that may be reserved.", total("cache_bytes_limit"))
    longest = max(one.backlog_seconds for one in held)
    yield _gauge("backlog_seconds", "Waiting work over measured speed, of the engine with most.", longest)


def _health_of_each(held: dict[str, EngineSnapshot]) -> Iterator[Metric]:
    yield _by_model(
        "engine_up",
        "1 while work is taken; 0 while the engine's process cannot be started.",
        ((name, one.is_available) for name, one in held.items()),
    )
    yield _by_model(
        "engine_heartbeat_seconds",
        "Time since an engine with work last reported; 0 for one that has none.",
        ((name, one.heartbeat_seconds) for name, one in held.items()),
    )
    yield _by_model(
        "engine_tokens_per_second",
        "Source tokens that an engine works through, as measured while others waited.",
        ((name, one.tokens_per_second) for name, one in held.items()),
    )


class ProcessCollector(Collector):
    """What the server's process and those of its engines take. Without /proc: the limits alone."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def collect(self) -> Iterator[Metric]:
        own = usage_of(os.getpid())
        if own is not None:
            yield from _of_server(own)
        yield from _of_engines(self._usages())
        for name, text, value in (
            ("memory_limit_bytes", "Memory that the container, else the machine, may take.", memory_limit()),
            ("api_open_files", "Files and connections that are open.", num_open_files(os.getpid())),
            ("api_open_files_limit", "Files and connections that may be open.", open_files_limit()),
        ):
            if value is not None:
                yield _gauge(name, text, value)

    def _usages(self) -> dict[str, ProcessUsage]:
        """By model; of engines that are no process of their own nothing is known apart."""
        ids = {model.name: model.engine.snapshot().process_id for model in self._models()}
        usages = {name: usage_of(process_id) for name, process_id in ids.items() if process_id is not None}
        return {name: usage for name, usage in usages.items() if usage is not None}


def _of_server(own: ProcessUsage) -> Iterator[Metric]:
    yield _gauge("start_time_seconds", "When the server's process began, since 1970.", own.started_at)
    yield _gauge("api_resident_memory_bytes", "Memory of the server's own process.", own.resident_bytes)
    yield CounterMetricFamily(
        "verto_api_cpu_seconds", "Processor time of the server's own process.", value=own.cpu_seconds
    )
    yield _gauge("api_threads", "Threads of the server's own process.", own.threads)


def _of_engines(usages: dict[str, ProcessUsage]) -> Iterator[Metric]:
    yield _by_model(
        "engine_resident_memory_bytes",
        "Memory of an engine's process.",
        ((name, usage.resident_bytes) for name, usage in usages.items()),
    )
    cpu = CounterMetricFamily(
        "verto_engine_cpu_seconds", "Processor time of an engine's process.", labels=("model",)
    )
    for name, usage in usages.items():
        cpu.add_metric((name,), usage.cpu_seconds)
    yield cpu
    yield _by_model(
        "engine_threads",
        "Threads of an engine's process.",
        ((name, usage.threads) for name, usage in usages.items()),
    )
