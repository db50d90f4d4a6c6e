"""Rehearsals as tables, JSON and a picture.

Knows: findings, outcomes by the second, matplotlib. Must not know: processes, how anything came about.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loadtests.measures import percentile
from loadtests.rehearsal.findings import Finding, reasons
from loadtests.rehearsal.outcome import BAD, OK, REFUSED, STREAM, TRANSLATION, Outcome
from loadtests.rehearsal.performance import Rehearsal
from loadtests.rehearsal.stage import Event
from loadtests.report import Figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = [
    "act", "what is done", "s", "translations answered", "refused", "failed", "streams done", "refused",
    "broken", "asked again elsewhere", "p50 ms", "p99 ms", "slowest ms", "promised", "kept",
]  # fmt: skip
_COLOURS = {
    "translations": "#4477aa",
    "streams": "#88ccee",
    "refused": "#ddaa33",
    "failed or broken": "#cc3311",
}


@dataclass(frozen=True, slots=True)
class Second:
    """What ended within one second since the first act began; latencies are of those answered."""

    at: int
    translations: int
    streams: int
    refused: int
    bad: int
    p50_ms: float
    p99_ms: float


def table(title: str, rehearsal: Rehearsal) -> Figures:
    acts = {one.act.name: one.act for one in rehearsal.played}
    rows = [
        [
            one.name, acts[one.name].title, f"{one.seconds:.0f}", *_counts(one, TRANSLATION),
            *_counts(one, STREAM),
            str(one.retries), f"{one.p50_ms:.0f}", f"{one.p99_ms:.0f}", f"{one.slowest_ms:.0f}",
            acts[one.name].promise + (f" ({one.allowed})" if one.allowed else ""),
            "yes" if one.is_kept else "NO",
        ]
        for one in rehearsal.findings
    ]  # fmt: skip
    return Figures(title, COLUMNS, rows)


def _counts(one: Finding, kind: str) -> list[str]:
    return [str(one.count(kind, *which)) for which in ((OK,), (REFUSED,), BAD)]


def to_json(rehearsal: Rehearsal) -> dict[str, Any]:
    """All that the picture shows, too."""
    began, seconds = rehearsal.played[0].began, timeline(rehearsal)
    return {
        "acts": [one.to_json() for one in rehearsal.findings],
        "not_answered": reasons(rehearsal.outcomes),
        "events": [f"{one.at - began:.2f} s: {one.replica} {one.what}" for one in rehearsal.events],
        "each_second": {
            "translations": _series(one.translations for one in seconds),
            "streams": _series(one.streams for one in seconds),
            "refused": _series(one.refused for one in seconds),
            "failed_or_broken": _series(one.bad for one in seconds),
        },
    }


def _series(values: Iterable[int]) -> str:
    """In one line of the file."""
    return " ".join(map(str, values))


def timeline(rehearsal: Rehearsal) -> list[Second]:
    """From the first act to the end of the last, second by second, empty ones too."""
    began = rehearsal.played[0].began
    by_second: dict[int, list[Outcome]] = {}
    for one in rehearsal.outcomes:
        if one.ended >= began:
            by_second.setdefault(int(one.ended - began), []).append(one)
    last = int(rehearsal.played[-1].ended - began)
    return [_second(at, by_second.get(at, [])) for at in range(last + 1)]


def _second(at: int, outcomes: Sequence[Outcome]) -> Second:
    answered = Counter(one.kind for one in outcomes if one.outcome == OK)
    times = [1000 * one.seconds for one in outcomes if one.outcome == OK]
    return Second(
        at=at,
        translations=answered[TRANSLATION],
        streams=answered[STREAM],
        refused=sum(one.outcome == REFUSED for one in outcomes),
        bad=sum(one.is_bad for one in outcomes),
        p50_ms=percentile(times, 0.5),
        p99_ms=percentile(times, 0.99),
    )


def picture(rehearsals: Mapping[str, Rehearsal]) -> bytes:
    """PNG: for each rehearsal what ended each second, and how long it had taken."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 5.2 * len(rehearsals)), layout="constrained")
    panels = figure.subplots(2 * len(rehearsals), 1, height_ratios=[3, 2] * len(rehearsals), squeeze=False)[
        :, 0
    ]
    for number, (title, rehearsal) in enumerate(rehearsals.items()):
        seconds = timeline(rehearsal)
        rates, latencies = panels[2 * number], panels[2 * number + 1]
        _rates(rates, seconds)
        rates.set_title(title, loc="left", pad=26)
        _latencies(latencies, seconds)
        for panel in (rates, latencies):
            _mark(panel, rehearsal, len(seconds), with_names=panel is rates)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=100, metadata={"Software": None})
    return out.getvalue()


def _rates(panel: Axes, seconds: Sequence[Second]) -> None:
    counts = ([one.translations for one in seconds], [one.streams for one in seconds],
              [one.refused for one in seconds], [one.bad for one in seconds])  # fmt: skip
    bottom = [0] * len(seconds)
    for (name, colour), values in zip(_COLOURS.items(), counts, strict=True):
        panel.bar([one.at + 0.5 for one in seconds], values, 1.0, bottom, color=colour, label=name)
        bottom = [below + value for below, value in zip(bottom, values, strict=True)]
    panel.set_ylabel("ended per second")
    panel.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)


def _latencies(panel: Axes, seconds: Sequence[Second]) -> None:
    where = [one.at + 0.5 for one in seconds]
    panel.plot(where, [one.p99_ms for one in seconds], ".", color="#aa3377", label="p99")
    panel.plot(where, [one.p50_ms for one in seconds], ".", color="#4477aa", label="p50")
    panel.set(yscale="log", ylabel="ms", xlabel="s since the first act")
    panel.grid(alpha=0.3)
    panel.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)


def _mark(panel: Axes, rehearsal: Rehearsal, end: int, with_names: bool) -> None:
    """Acts as bands, what was done to the replicas as lines."""
    began = rehearsal.played[0].began
    for number, one in enumerate(rehearsal.played):
        left, right = one.began - began, one.ended - began
        panel.axvspan(left, right, color="grey", alpha=0.16 if number % 2 else 0.0, lw=0, zorder=0)
        if with_names:
            place = ((left + right) / 2, 1.01)
            panel.annotate(one.act.name, place, xycoords=("data", "axes fraction"), ha="center", fontsize=9)
    for at, label in together(rehearsal.events):
        panel.axvline(at - began, color="black", lw=0.6, ls=":", alpha=0.7)
        if with_names:
            panel.annotate(
                label, (at - began, 0.985), xycoords=("data", "axes fraction"),
                rotation=90, ha="right", va="top", fontsize=6.5,
            )  # fmt: skip
    panel.set_xlim(0, end)
    if with_names:
        panel.set_ylim(0, 1.4 * panel.get_ylim()[1])  # room for the names


def together(events: Sequence[Event]) -> list[tuple[float, str]]:
    """Moment and label; what happened within a second of the one before stands in one label with it."""
    groups: list[list[Event]] = []
    for one in events:
        if groups and one.at - groups[-1][0].at < 1.0:
            groups[-1].append(one)
        else:
            groups.append([one])
    return [(group[0].at, ", ".join(f"{one.replica} {one.what}" for one in group)) for group in groups]
