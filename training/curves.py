"""Pictures of runs: loss, dev BLEU and chrF, learning rate and speed over steps.

Knows: the recorded numbers. Must not know: models, data.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

Metrics = Mapping[str, float]

# What a bundle keeps of its run: the picture, and the numbers for pictures of several.
CURVES_FILE, METRICS_FILE = "curves.png", "metrics.jsonl"
MOST_KEPT = 1000
LONGEST_LABEL = 28

# (title, unit, the recorded names drawn in it)
PANELS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Loss", "nats per target token", ("loss", "dev_loss")),
    ("Dev score", "points", ("dev_bleu", "dev_chrf")),
    ("Gradient", "norm before clipping", ("gradient_norm",)),
    ("Learning rate", "", ("learning_rate",)),
    ("Speed", "target tokens per second", ("tokens_per_second",)),
    ("Seen", "target tokens", ("target_tokens",)),
)
LABELS = {"loss": "training (label-smoothed)", "dev_loss": "dev", "dev_bleu": "BLEU", "dev_chrf": "chrF"}
_DASHES = ("-", "--")  # of the names of a panel, where colours tell runs apart


def draw_curves(metrics: Sequence[Metrics], title: str) -> bytes:
    """A PNG of all panels."""
    figure, axes = _panels()
    for axis, (_, _, names) in zip(axes, PANELS, strict=True):
        for name in names:
            _draw(axis, metrics, name, label=LABELS.get(name, name))
        if len(names) > 1 and axis.lines:
            axis.legend()
    figure.suptitle(title)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def draw_runs(runs: Mapping[str, Sequence[Metrics]], colours: Sequence[str]) -> Any:
    """A figure of the same panels with all runs in each, by name; whoever asked saves it."""
    figure, axes = _panels()
    for axis, (_, _, names) in zip(axes, PANELS, strict=True):
        for (run, metrics), colour in zip(runs.items(), colours, strict=False):
            for name, dash in zip(names, _DASHES, strict=False):
                label = f"{legible(run)}: {LABELS.get(name, name)}" if len(names) > 1 else legible(run)
                _draw(axis, metrics, name, label=label, color=colour, linestyle=dash)
        if axis.lines:
            axis.legend(fontsize="small")
    return figure


def legible(name: str) -> str:
    """A name, which may be a path, as a legend shows it: of a long one the end, or the picture had no room.

    matplotlib takes what stands between two `$` for a formula, and what begins with `_` for a line that wants
    no place in the legend; a character that cannot be printed would make the picture no XML.
    """
    end = name if len(name) <= LONGEST_LABEL else f"…{name[1 - LONGEST_LABEL :]}"
    shown = "".join(letter if letter.isprintable() else "\ufffd" for letter in end).replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def kept_metrics(metrics: Sequence[Metrics], most: int = MOST_KEPT) -> bytes:
    """Lines of JSON for the bundle: about `most` of a long run, evenly spread, and all with a dev score."""
    every = -(-len(metrics) // most)
    kept = [one for number, one in enumerate(metrics) if number % every == 0 or "dev_loss" in one]
    return "".join(json.dumps(dict(one)) + "\n" for one in kept).encode()


def _panels() -> tuple[Any, list[Any]]:
    figure = Figure(figsize=(15, 7), layout="constrained")  # not pyplot's, which keeps it for all to see
    axes = figure.subplots(2, 3)
    for axis, (name, unit, _) in zip(axes.flat, PANELS, strict=True):
        axis.set(title=name, xlabel="step", ylabel=unit)
        axis.grid(alpha=0.3)
    return figure, list(axes.flat)


def _draw(axis: Any, metrics: Sequence[Metrics], name: str, **style: Any) -> None:
    points = [(line["step"], line[name]) for line in metrics if name in line]
    if points:
        marker = "o" if len(points) == 1 else ""  # a line of one point would not be seen
        axis.plot([step for step, _ in points], [value for _, value in points], marker=marker, **style)
