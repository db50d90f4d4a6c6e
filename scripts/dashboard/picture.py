"""Draws the dashboard as Grafana would lay it out, from a running Prometheus: to look at it without Grafana.

    python -m scripts.dashboard.picture http://127.0.0.1:9090 docs/images/dashboard.png --minutes 10

Knows the dashboard's JSON, Prometheus' HTTP API and matplotlib. Must not know which metrics there are.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import Bbox

from scripts.dashboard.__main__ import TARGET
from scripts.dashboard.filled import filled

COLUMNS = 24  # of Grafana's grid
WIDTH_INCHES, UNIT_INCHES = 19.0, 0.36
TIMEOUT_SECONDS = 30.0
POINTS = 240
COLOURS = ("#5794f2", "#73bf69", "#ff9830", "#b877d9", "#f2495c", "#37872d", "#fade2a", "#8ab8ff")
BACKGROUND, CARD, INK, FAINT, RED, GREEN = "#f4f5f5", "#ffffff", "#24292e", "#8e8e8e", "#c4162a", "#37872d"

Series = tuple[dict[str, str], list[float], list[float]]  # labels, times, values


@dataclass(frozen=True)
class Window:
    """What part of the past is shown. Seconds since 1970, and between points."""

    start: float
    end: float

    @property
    def step(self) -> float:
        return max(1.0, (self.end - self.start) / POINTS)

    @property
    def rate_interval(self) -> str:
        """As Grafana chooses it: four scrapes at least, here of 1 s to 15 s."""
        return f"{max(15, round(4 * self.step))}s"


class Prometheus:
    """The two questions that panels ask."""

    def __init__(self, url: str, window: Window) -> None:
        self._url, self.window = url.rstrip("/"), window

    def over_time(self, expression: str) -> list[Series]:
        window = self.window
        span = {"start": window.start, "end": window.end, "step": window.step}
        found = self._ask("query_range", query=filled(expression, window.rate_interval), **span)
        return [
            (one["metric"], [float(at) for at, _ in one["values"]], [float(v) for _, v in one["values"]])
            for one in found
        ]

    def now(self, expression: str) -> list[dict[str, str]]:
        query = filled(expression, self.window.rate_interval)
        return [one["metric"] for one in self._ask("query", query=query, time=self.window.end)]

    def _ask(self, question: str, **parameters: object) -> list[Any]:
        address = f"{self._url}/api/v1/{question}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(address, timeout=TIMEOUT_SECONDS) as answer:
            found: list[Any] = json.load(answer)["data"]["result"]
            return found


def draw(dashboard: dict[str, Any], prometheus: Prometheus, caption: str = "") -> Figure:
    """All panels, each where the grid has it. `caption` says what the data is of."""
    panels = dashboard["panels"]
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels) + 2
    figure = Figure(figsize=(WIDTH_INCHES, rows * UNIT_INCHES), facecolor=BACKGROUND)
    figure.text(0.008, 1 - 1.2 / rows, dashboard["title"], size=17, weight="bold", color=INK)
    figure.text(0.06, 1 - 1.15 / rows, caption, size=10, color=FAINT)
    for panel in panels:
        place = panel["gridPos"]
        bottom = 1 - (place["y"] + 2 + place["h"]) / rows
        if panel["type"] == "row":
            figure.text(0.008, bottom + 0.3 / rows, f"▾ {panel['title']}", size=13, weight="bold", color=INK)
            continue
        gap = 0.05
        box = (
            (place["x"] + gap) / COLUMNS,
            bottom + gap / rows,
            (place["w"] - 2 * gap) / COLUMNS,
            (place["h"] - 4 * gap) / rows,
        )
        DRAWERS[panel["type"]](_card(figure, box, panel), panel, prometheus)
    return figure


def _card(figure: Figure, box: tuple[float, float, float, float], panel: dict[str, Any]) -> Axes:
    """A white card with its title; answers the axes inside."""
    left, bottom, width, height = box
    card = figure.add_axes(box)
    card.set_xticks([])
    card.set_yticks([])
    card.set_facecolor(CARD)
    for spine in card.spines.values():
        spine.set_color("#dddddd")
    unit = UNIT_INCHES / figure.get_figheight()  # of the grid, as a share of the figure
    card.text(0.02 if width < 0.5 else 0.006, 1 - 0.32 * unit / height, panel["title"],
              transform=card.transAxes, size=10, weight="bold", color=INK, va="center")  # fmt: skip
    is_graph = panel["type"] == "timeseries"
    inner = (
        left + (0.036 if is_graph else 0.004),
        bottom + (1.9 if is_graph else 0.1) * unit,
        width - (0.046 if is_graph else 0.008),
        height - (2.9 if is_graph else 0.9) * unit,
    )
    return figure.add_axes(inner)


def _graph(axes: Axes, panel: dict[str, Any], prometheus: Prometheus) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    lines = [
        (_legend(target["legendFormat"], labels), times, values)
        for target in panel["targets"]
        for labels, times, values in prometheus.over_time(target["expr"])
    ]
    if "stacking" in defaults["custom"]:
        _stack(axes, panel, lines)
    else:
        for place, (name, at, values) in enumerate(lines):
            look = _look(panel, name, place)
            axes.plot(at, values, color=look.colour, linestyle=look.style, linewidth=1.4, label=name)
            axes.fill_between(at, values, color=look.colour, alpha=look.fill, linewidth=0)
    _limit(axes, defaults)
    _dress(axes, defaults["unit"], prometheus.window, len(lines))
    if not lines:
        axes.text(0.5, 0.5, "No data", transform=axes.transAxes, ha="center", color=FAINT)


@dataclass(frozen=True)
class Look:
    """Of one series."""

    colour: str
    style: str = "-"
    fill: float = 0.08


def _look(panel: dict[str, Any], name: str, place: int) -> Look:
    """By its place among the others, unless an override says otherwise."""
    look = Look(COLOURS[place % len(COLOURS)])
    for override in panel["fieldConfig"]["overrides"]:
        if re.search(override["matcher"]["options"].strip("/"), name):
            said = {one["id"]: one["value"] for one in override["properties"]}
            style = "--" if "custom.lineStyle" in said else look.style
            fill = 0.0 if said.get("custom.fillOpacity") == 0 else look.fill
            look = Look(said["color"]["fixedColor"], style, fill)
    return look


def _stack(axes: Axes, panel: dict[str, Any], lines: list[tuple[str, list[float], list[float]]]) -> None:
    """Series that begin late or end early count as nothing meanwhile."""
    times = sorted({at for _, ats, _ in lines for at in ats})
    base = [0.0] * len(times)
    for place, (name, ats, values) in enumerate(lines):
        known = dict(zip(ats, values, strict=True))
        top = [below + (known.get(at, 0.0) if known.get(at) == known.get(at) else 0.0)
               for below, at in zip(base, times, strict=True)]  # fmt: skip
        colour = _look(panel, name, place).colour
        axes.fill_between(times, base, top, color=colour, alpha=0.45, linewidth=0, label=name)
        axes.plot(times, top, color=colour, linewidth=1.2)
        base = top


def _limit(axes: Axes, defaults: dict[str, Any]) -> None:
    """The dashed line, where values come near enough to see it without losing them."""
    for step in defaults.get("thresholds", {}).get("steps", [])[1:]:
        if axes.get_ylim()[1] > step["value"] / 20:
            axes.axhline(step["value"], color=RED, linestyle="--", linewidth=1)


def _dress(axes: Axes, unit: str, window: Window, num_lines: int) -> None:
    axes.set_xlim(window.start, window.end)
    axes.set_ylim(0, max(axes.get_ylim()[1], 1e-9))
    axes.set_xticks([*_whole_minutes(window)])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: time.strftime("%H:%M", time.localtime(at))))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: readable(value, unit)))
    if unit == "bytes":
        axes.set_yticks(_round_bytes(axes.get_ylim()[1]))
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.tick_params(labelsize=8, colors=FAINT, length=0)
    axes.grid(color="#eeeeee")
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if num_lines:
        # Below the ticks, and from the card's own left edge on, however wide it is.
        edge = -0.034 * WIDTH_INCHES / (axes.get_position().width * WIDTH_INCHES)
        axes.legend(
            loc="upper left",
            bbox_to_anchor=(edge, -0.1),
            ncols=4 if num_lines < 9 else 6,
            fontsize=8,
            frameon=False,
            labelcolor=INK,
            handlelength=1.0,
            columnspacing=1.2,
            borderaxespad=0.0,
        )


def _number(axes: Axes, panel: dict[str, Any], prometheus: Prometheus) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    axes.axis("off")
    series = prometheus.over_time(panel["targets"][0]["expr"])
    values = [value for value in series[0][2] if value == value] if series else []
    last = values[-1] if values else None
    text = "-" if last is None else readable(last, defaults["unit"])
    colour = _colour(last, defaults.get("thresholds", {}).get("steps", []))
    axes.text(0.5, 0.6, text, transform=axes.transAxes, ha="center", va="center", size=24, color=colour,
              weight="bold")  # fmt: skip
    if len(values) > 1:
        spark = axes.inset_axes((0.0, 0.0, 1.0, 0.3))
        spark.fill_between(range(len(values)), values, color=colour, alpha=0.2, linewidth=0)
        spark.plot(values, color=colour, linewidth=1)
        spark.set_ylim(0, max([*values, 1e-9]) * 1.1)
        spark.axis("off")


def _colour(value: float | None, steps: list[dict[str, Any]]) -> str:
    names = {"green": GREEN, "red": RED}
    chosen = [one["color"] for one in steps if value is not None and value >= (one["value"] or float("-inf"))]
    return names[chosen[-1]] if chosen else INK


def _table(axes: Axes, panel: dict[str, Any], prometheus: Prometheus) -> None:
    axes.axis("off")
    places = panel["transformations"][0]["options"]["indexByName"]
    order = sorted(places, key=places.__getitem__)
    rows = [
        [labels.get(name, "") for name in order] for labels in prometheus.now(panel["targets"][0]["expr"])
    ]
    if not rows:
        axes.text(0.5, 0.5, "No data", ha="center", color=FAINT)
        return
    drawn = axes.table(
        rows,
        colLabels=order,
        bbox=Bbox.from_bounds(0.004, 0.5, 0.99, 0.45),
        cellLoc="left",
        colLoc="left",
        edges="horizontal",
    )
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(9)


DRAWERS: dict[str, Callable[[Axes, dict[str, Any], Prometheus], None]] = {
    "timeseries": _graph,
    "stat": _number,
    "table": _table,
}


def readable(value: float, unit: str) -> str:
    """A number as Grafana shows it in this unit."""
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    if unit == "s":
        return f"{value:.3g} s" if value >= 1 or value == 0 else f"{1000 * value:.3g} ms"
    if unit == "bytes":
        return _scaled(value, 1024.0, ("B", "KiB", "MiB", "GiB", "TiB"))
    text = _scaled(value, 1000.0, ("", "K", "M", "G", "T")).strip()
    return f"{text} req/s" if unit == "reqps" else text


def _scaled(value: float, base: float, names: tuple[str, ...]) -> str:
    power = 0
    while abs(value) >= base and power < len(names) - 1:
        value, power = value / base, power + 1
    return f"{value:.3g} {names[power]}"


def _round_bytes(highest: float) -> list[float]:
    """Four to seven ticks, at whole powers of two apart."""
    step = 2.0 ** math.floor(math.log2(highest / 4))
    return [step * count for count in range(int(highest / step) + 1)]


def _legend(pattern: str, labels: dict[str, str]) -> str:
    for name, value in labels.items():
        pattern = pattern.replace("{{" + name + "}}", value)
    return " ".join(part for part in pattern.split() if not part.startswith("{{")) or "all"


def _whole_minutes(window: Window) -> range:
    """Five ticks or so."""
    step = 60 * max(1, round((window.end - window.start) / 300))
    return range(math.ceil(window.start / step) * step, math.floor(window.end) + 1, step)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prometheus", help="address of a running Prometheus, as http://127.0.0.1:9090")
    parser.add_argument("picture", type=Path, help="PNG file to write")
    parser.add_argument("--minutes", type=float, default=10.0, help="how much of the past (default: 10)")
    parser.add_argument("--end", type=float, default=None, help="seconds since 1970 (default: now)")
    parser.add_argument("--caption", default="", help="what the data is of, written at the top")
    given = parser.parse_args()
    end = given.end if given.end is not None else time.time()
    prometheus = Prometheus(given.prometheus, Window(end - 60 * given.minutes, end))
    figure = draw(json.loads(TARGET.read_text(encoding="utf-8")), prometheus, given.caption)
    unfinished = given.picture.with_suffix(".new.png")
    figure.savefig(unfinished, dpi=75)
    os.replace(unfinished, given.picture)


if __name__ == "__main__":
    main()
