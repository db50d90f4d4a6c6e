"""How sure a figure is: it is computed again and again from the same load, put together anew.

Knows: figures, windows, random numbers. Must not know: what two figures are compared for.

Requests that follow one another share a queue, so single ones say less than their number; and a machine is
faster at one time than at another. Therefore whole rounds are drawn, with replacement, and in each of them
whole slices of time (Davison and Hinkley, Bootstrap Methods and their Application, 1997, chapters 3.8, 8.2).
That counts noise within rounds a little too high, and noise between two or three of them too low, for which
compare.py makes up; how often equal servers are called unequal is tried in
tests/loadtests/traffic/test_compare.py.

    round 0   | slice | slice | slice | slice | slice | slice |
    round 1   | slice | slice | slice | slice | slice | slice |      drawn: 1, 1, 0 and of each six slices
    round 2   | slice | slice | slice | slice | slice | slice |
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy
import numpy.typing

from loadtests.traffic.figures import Figure
from loadtests.traffic.windows import Window

Numbers: TypeAlias = numpy.typing.NDArray[numpy.float64]
Counts: TypeAlias = numpy.typing.NDArray[numpy.int64]

SLICES = 6
RESAMPLES = 400
_CELLS = 4_000_000  # of a matrix of resamples and values, so that memory stays small


@dataclass(frozen=True, slots=True)
class Sliced:
    """A figure's values with the slice that each fell into; slices are counted through all rounds."""

    values: Numbers
    slices: Counts
    num_rounds: int
    seconds: float  # of all windows together

    @property
    def num_slices(self) -> int:
        return self.num_rounds * SLICES


def sliced(figure: Figure, windows: Sequence[Window], kind: str) -> Sliced:
    values: list[float] = []
    slices: list[int] = []
    for number, window in enumerate(windows):
        for one in figure.counted(window, kind):
            place = min(SLICES - 1, int(SLICES * figure.moment(one) / window.seconds))
            found = figure.values(one)
            values += found
            slices += [number * SLICES + place] * len(found)
    seconds = sum(window.seconds for window in windows)
    return Sliced(numpy.array(values, float), numpy.array(slices, int), len(windows), seconds)


def resampled(figure: Figure, what: Sliced, rng: numpy.random.Generator) -> Numbers:
    """The figure of `RESAMPLES` loads put together from slices of the one that was seen."""
    weights = _weights(what, rng)
    if figure.share is None:
        sums = numpy.bincount(what.slices, what.values, what.num_slices)
        return (weights @ sums) / what.seconds
    return _percentiles(what, weights, figure.share)


def _weights(what: Sliced, rng: numpy.random.Generator) -> Counts:
    """How often each slice was drawn: a row for each resample."""
    rounds = rng.integers(what.num_rounds, size=(RESAMPLES, what.num_rounds, 1))
    within = rng.integers(SLICES, size=(RESAMPLES, what.num_rounds, SLICES))
    drawn = (rounds * SLICES + within).reshape(RESAMPLES, -1)
    weights = numpy.zeros((RESAMPLES, what.num_slices), int)
    numpy.add.at(weights, (numpy.arange(RESAMPLES)[:, None], drawn), 1)
    return weights


def _percentiles(what: Sliced, weights: Counts, share: float) -> Numbers:
    """Of each resample the smallest value that at least `share` of it do not exceed; NaN of nothing."""
    order = numpy.argsort(what.values, kind="stable")
    values, slices = what.values[order], what.slices[order]
    found = []
    for part in numpy.array_split(weights, max(1, len(weights) * len(values) // _CELLS)):
        below = numpy.cumsum(part[:, slices], axis=1)
        wanted = numpy.maximum(1, numpy.ceil(share * below[:, -1:] - 1e-9))
        places = numpy.minimum((below < wanted).sum(axis=1), len(values) - 1)
        found.append(numpy.where(below[:, -1] > 0, values[places], math.nan))
    return numpy.concatenate(found)
