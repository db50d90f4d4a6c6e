"""Pictures of an evaluation, as SVG within a page: score by length.

Knows: scores. Must not know: pages, files.
"""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from training.curves import legible
from training.evaluation_scores import BucketScores, Evaluation, SystemScores, TestScores
from training.report.as_text import metric_label

# Okabe and Ito's, told apart by most people who see colours differently; of system and baseline.
COLOURS = ("#0072b2", "#d55e00")
MARKERS = ("o", "s")


def score_by_length(evaluation: Evaluation, test: TestScores) -> str:
    """One panel for each metric, a line for each system; below each length how many sentences it counts."""
    metrics = list(test.system.scores)
    figure = Figure(figsize=(4.2 * len(metrics), 3.4), layout="constrained")
    axes = figure.subplots(1, len(metrics), squeeze=False)
    for axis, metric in zip(axes[0], metrics, strict=True):
        for number, (label, system) in enumerate(_systems(evaluation, test)):
            _draw(axis, system.by_length, metric, label, number)
        axis.set(title=metric_label(metric), xlabel=f"{evaluation.unit} of the {measured(test)} (sentences)")
        axis.set_ylim(0, 1.1 * max(axis.get_ylim()[1], 1))
        axis.grid(alpha=0.3)
    if evaluation.baseline is not None:
        axes[0][0].legend(fontsize="small")
    return picture_uri(figure)


def measured(test: TestScores) -> str:
    """What the lengths are of."""
    return "sentence" if test.test_set.has_sources else "reference"


def picture_uri(figure: Any) -> str:
    """The figure as an address that holds it: nothing else is asked for."""
    buffer = io.BytesIO()
    # Text stays text, in the reader's own fonts, which know more scripts than matplotlib's.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "verto"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _systems(evaluation: Evaluation, test: TestScores) -> list[tuple[str, SystemScores]]:
    found = [(legible(str(evaluation.system)), test.system)]
    if test.baseline is not None:
        found.append((f"{legible(str(evaluation.baseline))} (baseline)", test.baseline))
    return found


def _draw(axis: Any, buckets: Sequence[BucketScores], metric: str, label: str, number: int) -> None:
    names = [f"{one.bucket.label}\n({len(one.bucket.indices):,})" for one in buckets]
    values = [one.scores[metric] for one in buckets]
    places = range(len(buckets))
    axis.plot(places, values, color=COLOURS[number], marker=MARKERS[number], label=label)
    axis.set_xticks(places, names, fontsize=8)
