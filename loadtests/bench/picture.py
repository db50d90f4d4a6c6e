"""The table as bars: how many times as fast Verto is, per cell.

Knows: timed cells, matplotlib. Must not know: how they were timed, files.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from loadtests.bench.cells import BATCHES, BEAM_SIZE, CTRANSLATE2, PRECISIONS, STRATEGIES, TARGETS
from loadtests.bench.rounds import Timed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {"float32": "#4477aa", "int8": "#ee6677"}
_TITLES = {
    ("opus-base", "forced"): "OPUS-MT base, 25 tokens each",
    ("shipped", "forced"): "shipped model, 25 tokens each",
    ("shipped", "real"): "shipped model, real sentences",
}


def picture(timed: Sequence[Timed]) -> bytes:
    """PNG: strategies above each other, networks side by side, batches as groups of bars."""
    from matplotlib.figure import Figure

    peers = [one for one in timed if one.cell.peer == CTRANSLATE2]
    kinds = list(dict.fromkeys((one.cell.shape, one.cell.text) for one in peers))
    figure = Figure(figsize=(4 * len(kinds), 5.2), layout="constrained")
    panels = figure.subplots(len(STRATEGIES), len(kinds), sharey=True, squeeze=False)
    for line, strategy in zip(panels, STRATEGIES, strict=True):
        for panel, kind in zip(line, kinds, strict=True):
            chosen = [one for one in peers if (one.cell.shape, one.cell.text) == kind]
            _panel(panel, [one for one in chosen if one.cell.strategy == strategy])
            name = "greedy" if strategy == "greedy" else f"beam {BEAM_SIZE}"
            panel.set_title(f"{_TITLES.get(kind, ' '.join(kind))}, {name}", fontsize=9)
    for line in panels:
        line[0].set_ylabel("tokens/s over CTranslate2's")
    panels[0][0].legend(loc="upper right", fontsize=8)  # where bars are low
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()


def _panel(panel: Axes, timed: Sequence[Timed]) -> None:
    batches = [batch for batch in BATCHES if any(one.cell.batch == batch for one in timed)]
    for number, precision in enumerate(PRECISIONS):
        found = {one.cell.batch: one.ratio for one in timed if one.cell.precision == precision}
        places = [place + 0.4 * (number - 0.5) for place in range(len(batches))]
        heights = [found.get(batch, 0.0) for batch in batches]
        bars = panel.bar(places, heights, 0.38, label=precision, color=_COLOURS[precision])
        panel.bar_label(bars, fmt="%.1f", fontsize=7)
    panel.margins(y=0.12)  # room for the labels of the highest bars
    panel.axhline(1.0, color="black", linewidth=1)
    panel.axhline(TARGETS[CTRANSLATE2], color="grey", linewidth=1, linestyle="--")
    panel.set_xticks(range(len(batches)), [f"batch {batch}" for batch in batches], fontsize=8)
