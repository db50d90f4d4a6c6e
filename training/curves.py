"""Pictures of a run: loss, dev BLEU and chrF, learning rate and speed over steps.

Knows: the recorded numbers. Must not know: models, data.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

# (title, unit, the recorded names drawn in it)
PANELS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Loss", "nats per target token", ("loss", "dev_loss")),
    ("Dev score", "points", ("dev_bleu", "dev_chrf")),
    ("Learning rate", "", ("learning_rate",)),
    ("Speed", "target tokens per second", ("tokens_per_second",)),
)
LABELS = {"loss": "training (label-smoothed)", "dev_loss": "dev", "dev_bleu": "BLEU", "dev_chrf": "chrF"}


def draw_curves(metrics: Sequence[dict[str, float]], title: str) -> bytes:
    """A PNG of four panels."""
    figure, axes = pyplot.subplots(2, 2, figsize=(11, 7), layout="constrained")
    for axis, (name, unit, series) in zip(axes.flat, PANELS, strict=True):
        for one in series:
            _draw(axis, metrics, one)
        axis.set(title=name, xlabel="step", ylabel=unit)
        axis.grid(alpha=0.3)
        if len(series) > 1:
            axis.legend()
    figure.suptitle(title)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    pyplot.close(figure)
    return buffer.getvalue()


def _draw(axis: Any, metrics: Sequence[dict[str, float]], name: str) -> None:
    points = [(line["step"], line[name]) for line in metrics if name in line]
    axis.plot([step for step, _ in points], [value for _, value in points], label=LABELS.get(name, name))
