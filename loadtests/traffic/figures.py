"""The figures by which load is judged: percentiles and rates, of one kind of requests or of all.

Knows: samples, windows, limits. Must not know: how they are shown or compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from loadtests.measures import percentile
from loadtests.traffic.limits import Limits, is_good
from loadtests.traffic.samples import DONE, FAILED, REFUSED, Sample
from loadtests.traffic.windows import Window

ALL = "all"  # kinds together


@dataclass(frozen=True, slots=True)
class Figure:
    """`values` of all samples together: their percentile `share`, or without one their sum per second.

    A sample counts where its `moment` lies within a window.
    """

    name: str
    unit: str
    values: Callable[[Sample], Sequence[float]]
    share: float | None = None
    moment: Callable[[Sample], float] = lambda sample: sample.due
    is_lower_better: bool = True

    def of(self, windows: Sequence[Window], kind: str = ALL) -> float:
        """NaN for a percentile of nothing."""
        found = [
            value for window in windows for one in self.counted(window, kind) for value in self.values(one)
        ]
        if self.share is not None:
            return percentile(found, self.share)
        return sum(found) / sum(window.seconds for window in windows)

    def counted(self, window: Window, kind: str) -> Iterable[Sample]:
        """The samples of the window that this figure is about."""
        return (one for one in window.samples if kind in (ALL, one.kind) and window.counts(self.moment(one)))


def _when_done(value: Callable[[Sample], Iterable[float | None]]) -> Callable[[Sample], list[float]]:
    """Of samples that are done, in milliseconds; what is not there is left out."""

    def values(sample: Sample) -> list[float]:
        return [1000 * one for one in value(sample) if one is not None] if sample.outcome == DONE else []

    return values


def _percentiles(name: str, value: Callable[[Sample], Iterable[float | None]]) -> list[Figure]:
    values = _when_done(value)
    return [Figure(f"{name} p{100 * share:g}", "ms", values, share) for share in (0.5, 0.95, 0.99)]


def _rate(name: str, unit: str, value: Callable[[Sample], float], **rest: bool) -> Figure:
    """Of what was answered within the windows, whenever it was due."""
    return Figure(name, unit, lambda one: [value(one)], moment=lambda one: one.ended, **rest)


def figures(limits: Limits) -> list[Figure]:
    """All of them, in the order in which they are shown."""
    return [
        _rate("throughput", "requests/s", lambda one: one.outcome == DONE, is_lower_better=False),
        Figure("goodput", "requests/s", lambda one: [is_good(one, limits)], is_lower_better=False),
        *_percentiles("latency", lambda one: [one.latency]),
        *_percentiles("first text", lambda one: [one.first_text]),
        *_percentiles("between pieces", lambda one: one.gaps),
        *_percentiles("per token", lambda one: [one.seconds_per_token]),
        Figure("refused", "requests/s", lambda one: [one.outcome == REFUSED]),
        Figure("failed", "requests/s", lambda one: [one.outcome == FAILED]),
        _rate(
            "characters", "characters/s", lambda one: one.characters * (one.outcome == DONE),
            is_lower_better=False,
        ),
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of the requests that were due within windows."""

    asked: int
    done: int
    good: int
    refused: int
    failed: int
    refused_p99_ms: float
    lateness_p99_ms: float  # of the load generator itself


def tally(windows: Sequence[Window], limits: Limits, kind: str = ALL) -> Tally:
    ours = [
        one
        for window in windows
        for one in window.samples
        if window.counts(one.due) and kind in (ALL, one.kind)
    ]
    outcomes = [one.outcome for one in ours]
    return Tally(
        asked=len(ours),
        done=outcomes.count(DONE),
        good=sum(is_good(one, limits) for one in ours),
        refused=outcomes.count(REFUSED),
        failed=outcomes.count(FAILED),
        refused_p99_ms=percentile([1000 * one.latency for one in ours if one.outcome == REFUSED], 0.99),
        lateness_p99_ms=percentile([1000 * one.lateness for one in ours], 0.99),
    )
