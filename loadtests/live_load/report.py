"""What the windows say: the highest rates, their ratio, and the waiting times at a calmer rate.

Knows: searches, windows, targets, matplotlib. Must not know: servers, how windows were made.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from loadtests.live_load.rate_search import RateSearch, rate_at
from loadtests.live_load.servers import CTRANSLATE2, VERTO
from loadtests.live_load.window import Window
from loadtests.report import Figures

RATE_TARGET = 1.5  # Verto's highest rate over the peer's
CALM_SHARE = 0.7  # of the peer's highest rate, where waiting times are compared
CALM_TARGET = 0.8  # Verto's median time there over the peer's
_COLOURS = {VERTO: "#4477aa", CTRANSLATE2: "#ee6677"}


@dataclass(frozen=True, slots=True)
class Finding:
    """`searches` of every server, and windows of both at `CALM_SHARE` of the peer's rate, in turn."""

    bound_ms: float
    searches: Mapping[str, RateSearch]
    calm: Mapping[str, Sequence[Window]]

    def rate_ratio(self, peer: str) -> float:
        rate = self.searches[peer].rate
        return self.searches[VERTO].rate / rate if rate else float("nan")

    @property
    def calm_ratio(self) -> float:
        return _middle(self.calm[VERTO], "p50_ms") / _middle(self.calm[CTRANSLATE2], "p50_ms")


def _middle(windows: Sequence[Window], name: str) -> float:
    return median(getattr(one, name) for one in windows) if windows else float("nan")


def rates_table(found: Finding) -> Figures:
    rows = []
    for name, search in found.searches.items():
        at = search.at_rate()
        ratio = "" if name == VERTO else f"{found.rate_ratio(name):.2f}"
        wanted = f"at least {RATE_TARGET:g}" if name == CTRANSLATE2 else ""
        rows.append([
            name, f"{search.rate:.1f}", ratio, wanted, f"{_middle(at, 'p50_ms'):.0f}",
            f"{_middle(at, 'p99_ms'):.0f}", str(search.num_windows),
        ])  # fmt: skip
    columns = ["server", "requests/s", "Verto over it", "wanted", "p50 ms", "p99 ms", "windows"]
    return Figures(f"Highest rate with p99 under {found.bound_ms:.0f} ms", columns, rows)


def calm_table(found: Finding) -> Figures:
    rows = []
    for name, windows in found.calm.items():
        ratio = [f"{found.calm_ratio:.2f}", f"at most {CALM_TARGET:g}"] if name == VERTO else ["", ""]
        middles = [f"{_middle(windows, of):.0f}" for of in ("p50_ms", "p99_ms")]
        rows.append([name, f"{_middle(windows, 'rate'):.1f}", *middles, *ratio])
    title = f"At {CALM_SHARE:.0%} of the highest rate of {CTRANSLATE2}, medians of rounds"
    return Figures(title, ["server", "requests/s", "p50 ms", "p99 ms", "p50 over the peer's", "wanted"], rows)


def to_json(found: Finding) -> dict[str, Any]:
    return {
        "bound_ms": found.bound_ms,
        "rate_ratios": {name: found.rate_ratio(name) for name in found.searches if name != VERTO},
        "calm_p50_ratio": found.calm_ratio,
        "servers": {
            name: {
                "rate": search.rate,
                "windows": [asdict(one) for index in sorted(search.windows) for one in search.windows[index]],
            }
            for name, search in found.searches.items()
        },
        "calm": {name: [asdict(one) for one in windows] for name, windows in found.calm.items()},
    }


def picture(found: Finding) -> bytes:
    """PNG: median and 99th percentile over the rate, a line for each server."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.8), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True)
    for panel, name, title in zip(panels, ("p50_ms", "p99_ms"), ("median", "99th percentile"), strict=True):
        for server, search in found.searches.items():
            points = [(rate_at(index), _middle(seen, name)) for index, seen in sorted(search.windows.items())]
            points += [(one[0].rate, _middle(one, name)) for one in [found.calm.get(server)] if one]
            points.sort()
            panel.plot(
                *zip(*points, strict=True), marker="o", label=server, color=_COLOURS.get(server, "grey")
            )
        panel.set(xlabel="requests/s", ylabel="ms from due to answered", title=title, yscale="log")
        panel.grid(alpha=0.3)
    panels[1].axhline(found.bound_ms, color="black", linewidth=1, linestyle="--")
    panels[0].legend()
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()
