"""What a run's figures look like. Knows: runs, figures, charts. Must not know: pages, files."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from loadtests.measures import percentile
from loadtests.traffic.arrivals import BURSTS
from loadtests.traffic.figures import Figure, figures, tally
from loadtests.traffic.kinds import STREAM, read_mix
from loadtests.traffic.run import Run
from loadtests.traffic.samples import DONE
from loadtests.traffic.windows import CLOSED, Level
from loadtests.traffic_report.chart import COLOURS, Chart
from loadtests.traffic_report.scales import Scale, linear, logarithmic

PERCENTILES = (0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
SERVER_METRICS = (
    ("running_rows", "rows in the batch"),
    ("queue_segments", "segments that wait"),
    ("backlog_seconds", "backlog, seconds"),
)


def pictures(run: Run) -> list[str]:
    """As SVG, in the order in which they are read."""
    found = [curve(run), outcomes(run), distribution(run)]
    if STREAM in read_mix(run.plan.asking.traffic).kinds:
        found.append(streams(run))
    return found + server_metrics(run)


def _named(run: Run) -> dict[str, Figure]:
    return {figure.name: figure for figure in figures(run.plan.limits)}


def curve(run: Run) -> str:
    """Latency over throughput, a line for each percentile, solid where nobody waits for answers."""
    chart, of = Chart("Latency over throughput"), _named(run)
    throughput = {level: of["throughput"].of(run.at(level)) for level in run.levels}
    names = [f"latency p{share}" for share in (50, 95, 99)]
    latency = {name: {level: of[name].of(run.at(level)) for level in run.levels} for name in names}
    x = linear(list(throughput.values()), *chart.across)
    y = logarithmic([ms for one in latency.values() for ms in one.values()], *chart.upwards)
    chart.axis_x(x, "requests answered each second")
    chart.axis_y(y, "milliseconds")
    for name, colour in zip(names, COLOURS, strict=False):
        for levels, dash in ((_open(run), ""), (_closed(run), "6 4")):
            placed = [(x.place(throughput[one]), _placed(y, latency[name][one])) for one in levels]
            chart.line(placed, colour, "" if dash else name.removeprefix("latency "), dash)
        for level in _bursts(run):
            chart.mark(x.place(throughput[level]), _placed(y, latency[name][level]), colour, True, level.name)
    chart.key("closed loop (users wait)", "#777777", "6 4")
    if _bursts(run):
        chart.key("hollow: in bursts", "white")
    for level in run.levels:
        top = _placed(y, latency[names[-1]][level])
        if math.isfinite(top):
            chart.text(x.place(throughput[level]), top - 8, level.name, "middle", 10)
    return chart.svg()


def _placed(scale: Scale, value: float) -> float:
    return scale.place(value) if math.isfinite(value) and value > 0 else math.nan


def _closed(run: Run) -> list[Level]:
    """In the order of users, as `_open` is in that of rates: past its best a server answers less again."""
    return sorted((one for one in run.levels if one.loop == CLOSED), key=lambda level: level.amount)


def _bursts(run: Run) -> list[Level]:
    return [level for level in run.levels if level.arrivals == BURSTS]


def _open(run: Run) -> list[Level]:
    found = [level for level in run.levels if level.loop != CLOSED and level.arrivals != BURSTS]
    return sorted(found, key=lambda level: level.amount)


def outcomes(run: Run) -> str:
    """Of every level's requests, which share was good, answered too late, refused, failed."""
    chart = Chart("What became of the requests that were due")
    x, y = chart.axis_categories([level.name for level in run.levels]), Scale(0.0, 100.0, *chart.upwards)
    chart.axis_y(y, "% of the requests")
    names = ("within its limits", "answered, not within them", "refused (429, 503)", "failed")
    colours = ("#228833", "#ccbb44", "#66ccee", "#ee6677")
    for number, level in enumerate(run.levels):
        counts = tally(run.at(level), run.plan.limits)
        parts = (counts.good, counts.done - counts.good, counts.refused, counts.failed)
        below = 0.0
        for count, name, colour in zip(parts, names, colours, strict=True):
            above = below + 100 * count / max(1, counts.asked)
            told = f"{level.name}: {count} of {counts.asked} {name}"
            chart.bar(
                x.place(number - 0.35), x.place(number + 0.35), y.place(below), y.place(above), colour, told
            )
            below = above
    for name, colour in zip(names, colours, strict=True):
        chart.key(name, colour)
    return chart.svg()


def distribution(run: Run) -> str:
    """Percentiles of all answers, a line for each level."""
    chart = Chart("How long answers took")
    x = chart.axis_categories([f"p{100 * share:g}" if share < 1 else "slowest" for share in PERCENTILES])
    found = {
        level: [percentile(_latencies(run, level), share) for share in PERCENTILES] for level in run.levels
    }
    y = logarithmic([ms for values in found.values() for ms in values], *chart.upwards)
    chart.axis_y(y, "milliseconds from due to answered")
    for number, (level, values) in enumerate(found.items()):
        colour = COLOURS[number % len(COLOURS)]
        placed = [(x.place(place), _placed(y, ms)) for place, ms in enumerate(values)]
        chart.line(placed, colour, level.name, "6 4" if level.loop == CLOSED else "")
    return chart.svg()


def _latencies(run: Run, level: Level) -> list[float]:
    return [
        1000 * one.latency
        for window in run.at(level)
        for one in window.samples
        if one.outcome == DONE and window.counts(one.due)
    ]


def streams(run: Run) -> str:
    """Time to the first text, between pieces, and per token: from the median to the 95th percentile."""
    chart, of = Chart("Streams: bars from the median to the 95th percentile"), _named(run)
    names = ("first text", "between pieces", "per token")
    values = {
        (level, name, share): of[f"{name} p{share}"].of(run.at(level), STREAM)
        for level in run.levels for name in names for share in (50, 95)
    }  # fmt: skip
    x = chart.axis_categories([level.name for level in run.levels])
    y = logarithmic(list(values.values()), *chart.upwards)
    chart.axis_y(y, "milliseconds")
    for place, name in enumerate(names):
        for number, level in enumerate(run.levels):
            low, high = (values[level, name, share] for share in (50, 95))
            middle = x.place(number + 0.26 * (place - 1))
            if math.isfinite(low) and low > 0:
                told = f"{level.name}, {name}: p50 {low:.0f} ms, p95 {high:.0f} ms"
                top = min(y.place(high), y.place(low) - 2)
                chart.bar(middle - 6, middle + 6, y.place(low), top, COLOURS[place], told)
        chart.key(name, COLOURS[place])
    return chart.svg()


def server_metrics(run: Run) -> list[str]:
    """What the server's own page said meanwhile; windows are shaded. Nothing where it said nothing."""
    shown = [(name, title) for name, title in SERVER_METRICS if _series(run, lambda v, n=name: v.get(n))]
    return [_metric(run, name, title) for name, title in shown]


def _series(run: Run, value: Callable[..., float | None]) -> list[tuple[float, float]]:
    """Seconds since the run began, and the value."""
    began = run.windows[0].began_at
    found = [
        (window.began_at + scrape.at - began, value(scrape.values))
        for window in run.windows
        for scrape in window.scrapes
    ]
    return [(at, number) for at, number in found if number is not None]


def _metric(run: Run, name: str, title: str) -> str:
    chart = Chart(f"Server: {title}", width=640, height=220)
    points: Sequence[tuple[float, float]] = sorted(_series(run, lambda values: values.get(name)))
    began = run.windows[0].began_at
    ends = [window.began_at + window.seconds - began for window in run.windows]
    x, y = (
        linear([*ends, *(at for at, _ in points)], *chart.across),
        linear([v for _, v in points], *chart.upwards),
    )
    for window in run.windows:
        left = window.began_at - began
        chart.stretch(
            x.place(left), x.place(left + window.seconds), f"{window.level.name}, round {window.round}"
        )
    chart.axis_x(x, "seconds since the first window; shaded: windows")
    chart.axis_y(y, "")
    chart.line([(x.place(at), y.place(value)) for at, value in points], COLOURS[0], has_marks=False)
    return chart.svg()
