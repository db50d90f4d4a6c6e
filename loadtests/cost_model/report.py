"""The fitted formula as tables and plots.

Knows: points, cost models, matplotlib. Must not know: networks, clocks.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from loadtests.cost_model.fit import NAMES, CostModel, Point, bends, median_error
from loadtests.report import Figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {"float32": "#4477aa", "int8": "#ee6677"}
MOST_BENDS = 12  # of each precision


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one precision; `encodings`: tokens (segments times length) of a group, and seconds."""

    points: Sequence[Point]
    model: CostModel
    encodings: Sequence[tuple[int, float]]


def coefficients_table(found: Mapping[str, Measured]) -> Figures:
    columns = ["precision", "a, µs", "f, µs per 1,000", "b, µs per row", "c, ns", "d, ns", "e, µs per 1,000",
               "median error", "steps"]  # fmt: skip
    scales = (1e6, 1e9, 1e6, 1e9, 1e9, 1e9)
    rows = []
    for name, one in found.items():
        values = [scale * value for scale, value in zip(scales, one.model.coefficients, strict=True)]
        error = f"{100 * median_error(one.model, one.points):.0f} %"
        rows.append([name, *(f"{value:.2f}" for value in values), error, str(len(one.points))])
    return Figures("The fitted formula", columns, rows)


def bends_table(found: Mapping[str, Measured]) -> Figures:
    rows = [
        [
            name, str(one.rows), str(one.target), str(one.source), str(one.vocabulary),
            f"{1e6 * one.seconds:.0f}", f"{100 * error:+.0f} %",
        ]
        for name, measured in found.items()
        for one, error in bends(measured.model, measured.points)[:MOST_BENDS]
    ]  # fmt: skip
    columns = ["precision", "rows", "target", "source", "vocabulary", "µs", "over the formula"]
    return Figures("Where it bends: the steps that the formula misses most", columns, rows)


def encodings_table(found: Mapping[str, Measured]) -> Figures:
    rows = [
        [name, str(tokens), f"{1000 * seconds:.1f}", f"{1e6 * seconds / tokens:.0f}"]
        for name, one in found.items()
        for tokens, seconds in one.encodings
    ]
    return Figures("Encoding", ["precision", "source tokens in the group", "ms", "µs per token"], rows)


def to_json(found: Mapping[str, Measured]) -> dict[str, Any]:
    return {
        name: {
            "coefficients": dict(zip(NAMES, one.model.coefficients, strict=True)),
            "median_error": median_error(one.model, one.points),
            "points": [asdict(point) for point in one.points],
            "encodings": one.encodings,
        }
        for name, one in found.items()
    }


# Title, what is on the axis, and what the other sizes are there: each at the middle of what was measured.
_Axis = tuple[str, Callable[[Point], int], Callable[[Point], bool]]


def picture(found: Mapping[str, Measured], rows: int, target: int, source: int, vocabulary: int) -> bytes:
    """PNG: a panel for each size, the other three as given; points were measured, lines are the formula."""
    from matplotlib.figure import Figure

    def others(point: Point, *names: str) -> bool:
        middle = {"rows": rows, "target": target, "source": source, "vocabulary": vocabulary}
        return all(getattr(point, name) == middle[name] for name in names)

    axes: Sequence[_Axis] = (
        ("rows", lambda p: p.rows, lambda p: others(p, "target", "source", "vocabulary")),
        ("target positions", lambda p: p.target, lambda p: others(p, "rows", "source", "vocabulary")),
        ("source tokens", lambda p: p.source, lambda p: others(p, "rows", "target", "vocabulary")),
        ("vocabulary", lambda p: p.vocabulary, lambda p: others(p, "rows", "target", "source")),
    )
    figure = Figure(figsize=(13, 3.4), layout="constrained")
    for panel, axis in zip(figure.subplots(1, 4), axes, strict=True):
        for name, one in found.items():
            _panel(panel, name, one, axis)
    figure.axes[0].set_ylabel("µs a step")
    figure.axes[0].legend()
    figure.axes[0].set(xscale="log", yscale="log")
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()


def _panel(panel: Axes, name: str, one: Measured, axis: _Axis) -> None:
    title, place, chosen = axis
    points = sorted((point for point in one.points if chosen(point)), key=place)
    where, colour = [place(point) for point in points], _COLOURS.get(name, "grey")
    panel.plot(where, [1e6 * point.seconds for point in points], "o", color=colour, label=f"{name}, measured")
    expected = [1e6 * point.seconds / (1 + one.model.error(point)) for point in points]
    panel.plot(where, expected, "-", color=colour, alpha=0.6, label=f"{name}, formula")
    panel.set_xlabel(title)
    panel.grid(alpha=0.3)
