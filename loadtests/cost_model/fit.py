"""A formula for the time of a step, fitted to measured ones.

Knows: numbers. Must not know: networks, clocks.

    step = a + f V + R (b + c T + d S + e V)

R rows, T target positions that a row has behind it, S source tokens, V vocabulary. `a` and `f` are what a
step costs however few rows there are: calls, and reading the weights. The rest is arithmetic of each row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NAMES = ("a", "f", "b", "c", "d", "e")
FORMULA = "step = a + f V + R (b + c T + d S + e V)"
BENDS = 0.25  # a measured time further from the formula than this share of it is told


@dataclass(frozen=True, slots=True)
class Point:
    """One measured step."""

    rows: int
    target: int
    source: int
    vocabulary: int
    seconds: float

    def terms(self) -> tuple[float, ...]:
        """Of `NAMES`."""
        rows, vocabulary = float(self.rows), float(self.vocabulary)
        return 1.0, vocabulary, rows, rows * self.target, rows * self.source, rows * vocabulary


@dataclass(frozen=True, slots=True)
class CostModel:
    """Seconds per unit of each term, in the order of `NAMES`."""

    coefficients: tuple[float, ...]

    def seconds(self, rows: int, target: int, source: int, vocabulary: int) -> float:
        return self._of(Point(rows, target, source, vocabulary, 0.0))

    def error(self, point: Point) -> float:
        """How much longer the measured step took than the formula says, as a share of that."""
        expected = self._of(point)
        return (point.seconds - expected) / expected

    def _of(self, point: Point) -> float:
        return sum(one * term for one, term in zip(self.coefficients, point.terms(), strict=True))


def fitted(points: Sequence[Point]) -> CostModel:
    """Least squares of relative errors: short steps count as much as long ones. No term is below 0."""
    times = np.array([one.seconds for one in points])
    terms = np.array([one.terms() for one in points]) / times[:, None]
    kept = list(range(len(NAMES)))
    while True:
        scale = terms[:, kept].max(axis=0)
        found = np.linalg.lstsq(terms[:, kept] / scale, np.ones(len(times)), rcond=None)[0] / scale
        if found.min() >= 0 or len(kept) == 1:
            break
        del kept[int((found * scale).argmin())]  # a time below zero is noise of a term that costs nothing
    values = dict(zip(kept, found.tolist(), strict=True))
    return CostModel(tuple(max(0.0, values.get(index, 0.0)) for index in range(len(NAMES))))


def bends(model: CostModel, points: Sequence[Point]) -> list[tuple[Point, float]]:
    """Points that the formula misses by more than `BENDS`, the farthest first."""
    missed = [(one, model.error(one)) for one in points]
    return sorted((pair for pair in missed if abs(pair[1]) > BENDS), key=lambda pair: -abs(pair[1]))


def median_error(model: CostModel, points: Sequence[Point]) -> float:
    return float(np.median([abs(model.error(one)) for one in points]))
