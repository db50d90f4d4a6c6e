"""The simulated courses as pictures.

Knows: points, courses, matplotlib. Must not know: clusters.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from loadtests.scaling.scenarios import Course, Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#888888")


def replicas_picture(points: Sequence[Point]) -> bytes:
    """Latencies and refusals over the load, a line for each number of replicas."""
    figure = _figure(13, 3.8)
    median, slow, refused = figure.subplots(1, 3)
    for colour, count in zip(_COLOURS, dict.fromkeys(one.replicas for one in points), strict=False):
        ours = [one for one in points if one.replicas == count]
        loads, label = [100 * one.load for one in ours], f"{count} replica{'s' if count > 1 else ''}"
        median.plot(loads, [one.p50_ms for one in ours], "o-", ms=3, color=colour, label=label)
        slow.plot(loads, [one.p99_ms for one in ours], "o-", ms=3, color=colour, label=label)
        refused.plot(loads, [100 * one.refused_share for one in ours], "o-", ms=3, color=colour, label=label)
    median.set(yscale="log", ylabel="p50, ms")
    slow.set(yscale="log", ylabel="p99, ms")
    refused.set_ylabel("refused, %")
    for panel in (median, slow, refused):
        _over(panel, "load, % of what all replicas can do")
        panel.axvline(100, color="black", lw=0.8, ls=":")
    median.legend(frameon=False)
    return _png(figure)


def autoscaling_picture(courses: Sequence[Course], capacity: float) -> bytes:
    """What comes, what users meet, how many replicas there are; a line for each way to choose."""
    figure = _figure(13, 9.5)
    offered, slow, refused, replicas = figure.subplots(4, 1, sharex=True, height_ratios=[2, 3, 2, 3])
    minutes = _minutes(courses[0])
    offered.fill_between(
        minutes, [rate / capacity for rate in courses[0].offered], color="#bbbbbb", step="mid"
    )
    offered.set_ylabel("offered, in replicas\nthat it fills")
    for colour, one in zip(_COLOURS, courses, strict=False):
        line = "--" if "new nodes" in one.name else "-"
        slow.plot(minutes, one.p99_ms, line, color=colour, label=one.name)
        refused.plot(
            minutes, [_percent(*pair) for pair in zip(one.refused, one.offered, strict=True)], color=colour
        )
        replicas.step(minutes, one.replicas, line, where="mid", color=colour)
    slow.set(yscale="log", ylabel="p99, ms")
    slow.legend(frameon=False, fontsize=8, loc="upper right")
    refused.set_ylabel("refused, %")
    replicas.set_ylabel("replicas paid for")
    for panel in (offered, slow, refused, replicas):
        panel.grid(alpha=0.3)
        panel.set_xlim(0, minutes[-1])
    replicas.set_xlabel("minutes")
    return _png(figure)


def changes_picture(zones: Sequence[Course], updates: Sequence[Course]) -> bytes:
    """A lost zone at several loads, and both ways of a rolling update."""
    figure = _figure(13, 3.8)
    lost, lost_refused, rolled = figure.subplots(1, 3)
    for colour, one in zip(_COLOURS, zones, strict=False):
        seconds = [60 * minute for minute in _minutes(one)]
        lost.plot(seconds, one.p99_ms, color=colour, label=one.name)
        shares = [_percent(*pair) for pair in zip(one.refused, one.offered, strict=True)]
        lost_refused.plot(seconds, shares, color=colour)
    for colour, one in zip(_COLOURS, updates, strict=False):
        rolled.plot([60 * minute for minute in _minutes(one)], one.p99_ms, color=colour, label=one.name)
    lost.set(yscale="log", ylabel="p99, ms", title="one of three zones is lost at 60 s")
    lost_refused.set(ylabel="refused, %", title="the same")
    rolled.set(yscale="log", ylabel="p99, ms", title="rolling update from 30 s on")
    for panel in (lost, lost_refused, rolled):
        _over(panel, "seconds")
    lost.legend(frameon=False, fontsize=7)
    rolled.legend(frameon=False, fontsize=7)
    return _png(figure)


def _minutes(course: Course) -> list[float]:
    return [(index + 0.5) * course.step_seconds / 60 for index in range(len(course.offered))]


def _percent(refused: float, offered: float) -> float:
    return 100 * refused / offered if offered else 0.0


def _over(panel: Axes, what: str) -> None:
    panel.set_xlabel(what)
    panel.grid(alpha=0.3)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=100, metadata={"Software": None})
    return out.getvalue()
