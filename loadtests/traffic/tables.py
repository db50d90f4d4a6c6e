"""A run as tables of text. Knows: figures, levels, units. Must not know: where they are printed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from loadtests.report import Figures
from loadtests.traffic.figures import ALL, figures, tally
from loadtests.traffic.kinds import STREAM, read_mix
from loadtests.traffic.result_file import kinds_of
from loadtests.traffic.run import Run
from loadtests.traffic.windows import Level

FEWEST_FOR_P99 = 100  # with fewer answers the 99th percentile is the slowest of them
_LATENCIES = ("latency p50", "latency p95", "latency p99")
_OF_STREAMS = (
    "first text p50", "first text p95", "between pieces p50", "between pieces p95", "per token p50",
    "latency p50",
)  # fmt: skip


def shown(value: float) -> str:
    """Three digits are as many as a measurement like this has."""
    if math.isnan(value):
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def tables(run: Run) -> list[Figures]:
    """One for all requests, one for each kind where there are several, one for streams' own figures."""
    kinds = kinds_of(run.plan)
    found = [_by_level(run, kind) for kind in kinds]
    if STREAM in read_mix(run.plan.asking.traffic).kinds:
        found.append(_streams(run))
    return found


def _by_level(run: Run, kind: str) -> Figures:
    columns = [
        "load", "asked", "answered/s", "good/s", "good", "refused", "failed", "p50 ms", "p95 ms", "p99 ms",
    ]  # fmt: skip
    title = "All requests" if kind == ALL else f"Only {kind}"
    return Figures(title, columns, [_level_row(run, level, kind) for level in run.levels])


def _level_row(run: Run, level: Level, kind: str) -> list[str]:
    windows = run.at(level)
    of = {one.name: one.of(windows, kind) for one in figures(run.plan.limits)}
    counts = tally(windows, run.plan.limits, kind)
    latencies = [shown(of[name]) for name in _LATENCIES]
    if counts.done < FEWEST_FOR_P99 and counts.done:
        latencies[-1] += "*"
    good = f"{counts.good / counts.asked:.0%}" if counts.asked else "-"
    rates = [shown(of["throughput"]), shown(of["goodput"])]
    return [level.name, str(counts.asked), *rates, good, str(counts.refused), str(counts.failed), *latencies]


def _streams(run: Run) -> Figures:
    columns = [
        "load", "first text p50", "p95", "between pieces p50", "p95", "per token p50", "whole stream p50",
    ]  # fmt: skip
    rows = []
    for level in run.levels:
        of = {one.name: one.of(run.at(level), STREAM) for one in figures(run.plan.limits)}
        rows.append([level.name, *(shown(of[name]) for name in _OF_STREAMS)])
    return Figures("Streams, ms", columns, rows)


def faults(run: Run) -> Figures | None:
    """What went wrong or was refused, how often, at which load; None where nothing did."""
    rows: list[Sequence[str]] = []
    for level in run.levels:
        counts: dict[tuple[str, str], int] = {}
        for window in run.at(level):
            for one in window.samples:
                if one.verdict.fault and window.counts(one.due):
                    key = (f"{one.kind}: {one.outcome}", one.verdict.fault)
                    counts[key] = counts.get(key, 0) + 1
        rows += [[level.name, *key, str(count)] for key, count in sorted(counts.items())]
    return Figures("Refused and failed", ["load", "what", "why", "times"], rows) if rows else None


def lateness(run: Run) -> float:
    """The 99th percentile, in milliseconds, of how far the load generator was behind at its worst level."""
    late = [tally(run.at(level), run.plan.limits).lateness_p99_ms for level in run.levels]
    # A level in whose windows nothing was due says nothing: beside its NaN no number is the largest.
    return max((ms for ms in late if not math.isnan(ms)), default=0.0)
