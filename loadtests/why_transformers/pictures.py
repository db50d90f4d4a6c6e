"""The comparison drawn: speed, gradients, scores by length, and what each part is for.

Knows: numbers, matplotlib. Must not know: how they were measured, files.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from loadtests.why_transformers.shapes import RECURRENT, TRANSFORMER

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Line = Mapping[str, Any]
COLOURS = {TRANSFORMER: "#4477aa", RECURRENT: "#ee6677"}
NETWORKS = (TRANSFORMER, RECURRENT)


def draw_speed(lines: Sequence[Line]) -> bytes:
    """PNG: training tokens per processor second over the length, and the ratio."""
    figure, (left, right) = _panels(2)
    for name in NETWORKS:
        _curve(left, name, [(x["length"], x["tokens_per_processor_second"]) for x in _named(lines, name)])
    pairs = zip(*(_named(lines, name) for name in NETWORKS), strict=True)
    ratios = [
        (a["length"], a["tokens_per_processor_second"] / b["tokens_per_processor_second"]) for a, b in pairs
    ]
    right.plot(*zip(*ratios, strict=True), marker="o", color="black")
    right.axhline(1, color="grey", linewidth=0.8)
    left.set(title="Training speed", ylabel="target tokens per processor second", ylim=(0, None))
    right.set(title="Transformer over GRU", ylabel="times as fast", ylim=(0, None))
    for panel in (left, right):
        _lengths_axis(panel, "tokens a sentence", [line["length"] for line in _named(lines, TRANSFORMER)])
    left.legend()
    return _png(figure)


def draw_gradients(lines: Sequence[Line], weights: str) -> bytes:
    """PNG: norms over the distance, of the encoder's last state and of the last target token's loss."""
    figure, panels = _panels(2)
    titles = {"encoder": "from the encoder's end", "loss": "from the last word's loss"}
    for panel, (of, title) in zip(panels, titles.items(), strict=True):
        for name in NETWORKS:
            _curve(panel, name, [(x["distance"], x[of]) for x in _named(lines, name)])
        panel.set(
            title=f"Gradient at the first source token\n{title}, {weights}", yscale="log", ylabel="norm"
        )
        _lengths_axis(panel, "distance in tokens", [x["distance"] for x in _named(lines, TRANSFORMER)])
    panels[0].legend()
    return _png(figure)


def draw_lengths(tasks: Mapping[str, Sequence[Line]]) -> bytes:
    """PNG: a panel for each task that was measured."""
    measured = {title: parts for title, parts in tasks.items() if parts}
    figure, panels = _panels(len(measured))
    for panel, (title, parts) in zip(panels, measured.items(), strict=True):
        for part in parts:
            points = [(line["mean_words"], line["bleu"]) for line in part["lengths"]]
            _curve(panel, part["network"], points)
        panel.set(
            title=f"BLEU by length: {title}", xlabel="words of the source", ylabel="BLEU", ylim=(0, 105)
        )
        panel.legend()
    return _png(figure)


def draw_ablations(parts: Sequence[Line], task: str, exact: bool) -> bytes:
    """PNG: the dev loss on the way, and, in the same colours, the score at the end.

    That is the share of sentences right where one is right or wrong (`exact`), and BLEU elsewhere.
    """
    figure, (left, right) = _panels(2, height=5.2)
    finished = [part for part in parts if part["outcome"] == "finished" and part["seed"] == 1]
    for index, part in enumerate(finished):
        colour, again = f"C{index % 10}", index >= 10
        left.plot(*zip(*part["dev_losses"], strict=True), "--" if again else "-", color=colour)
        score = 100 * part["right_share"] if exact else part["bleu"]
        right.barh(index, score, color=colour, hatch="//" if again else None)
    left.set(title=f"Dev loss: {task}", xlabel="step", ylabel="nats per target token", ylim=(0, None))
    left.grid(alpha=0.3)
    right.set_yticks(range(len(finished)), [part["says"].partition(":")[0] for part in finished], fontsize=8)
    right.invert_yaxis()
    right.set(title="After the last step", xlabel="% of the test sentences right" if exact else "test BLEU")
    right.set_xlim(0, 100 if exact else None)
    return _png(figure)


def _panels(count: int, height: float = 3.8) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2 * count, height), layout="constrained")
    return figure, list(figure.subplots(1, count, squeeze=False)[0])


def _named(lines: Sequence[Line], name: str) -> list[Line]:
    return [line for line in lines if line["network"] == name]


def _curve(panel: Axes, name: str, points: Sequence[tuple[float, float]]) -> None:
    panel.plot(*zip(*points, strict=True), marker="o", color=COLOURS[name], label=name)
    panel.grid(alpha=0.3)


def _lengths_axis(panel: Axes, label: str, values: Sequence[int]) -> None:
    panel.set_xscale("log", base=2)
    panel.set_xticks(values, [str(value) for value in values])
    panel.set_xlabel(label)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()
