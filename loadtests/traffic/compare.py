"""Two runs beside each other: what has changed, by how much, and whether that is more than noise.

Knows: runs of the same plan, figures, their spread. Must not know: files, how changes are shown.

A ratio's interval is exp(log ratio ± t s), s the standard error of the log ratio: from resamples, and from
how far rounds lie apart. t is such that in 95 of 100 comparisons of equal servers no row of the whole table
is called a change (Bonferroni), and larger the more of s was told from so few values as there are rounds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from loadtests.traffic.bootstrap import SLICES, Numbers, resampled, sliced
from loadtests.traffic.columns import SHORTEST_MS
from loadtests.traffic.faults import LoadTestError
from loadtests.traffic.figures import ALL, Figure, figures
from loadtests.traffic.kinds import STREAM, read_mix
from loadtests.traffic.plan import differences
from loadtests.traffic.result_file import kinds_of
from loadtests.traffic.run import Run
from loadtests.traffic.student import errors_within
from loadtests.traffic.windows import CLOSED, Level, Window

CONFIDENCE = 0.95  # of the table as a whole
SAME, UNSURE, BETTER, WORSE, TOO_FEW = "same", "unsure", "better", "worse", "too few"
NEAR, NEAR_SHARE = 0.1, 0.01  # a figure is the same where its whole interval is within so much of no change
FEWEST_BEYOND = 5  # values above a percentile; with fewer it is a matter of single requests
FEWEST_ROUNDS = 2  # one cannot tell a change from a moment at which the machine was slow
SHARES = ("refused", "failed")  # compared as shares of what was asked, by their difference
_HEADLINES = ("goodput", "latency p50", "latency p95", "latency p99", *SHARES)
_OF_STREAMS = ("first text p50", "first text p95", "per token p50")


@dataclass(frozen=True, slots=True)
class Change:
    """A figure in both runs. `ratio` is after over before, of shares their difference; NaN: there is none."""

    level: Level
    kind: str
    figure: Figure
    before: float
    after: float
    ratio: float
    low: float
    high: float
    verdict: str

    @property
    def is_share(self) -> bool:
        return self.figure.name in SHARES

    def is_over(self, share: float) -> bool:
        """Surely worse, and by more than this; of refusals and failures any more that is sure."""
        if self.verdict != WORSE or self.is_share:
            return self.verdict == WORSE
        return self.ratio > 1 + share if self.figure.is_lower_better else self.ratio < 1 - share


@dataclass(frozen=True, slots=True)
class _Row:
    level: Level
    kind: str
    figure: Figure


def changes(before: Run, after: Run, every_kind: bool = False) -> list[Change]:
    """Row by row. Raises LoadTestError for runs that asked different things."""
    if found := differences(before.plan, after.plan):
        raise LoadTestError(
            f"these runs asked different things ({'; '.join(found[:3])}); repeat the first one's with "
            "`verto loadtest run --like A`"
        )
    rows = [row for level in before.levels if after.at(level) for row in _rows(before, level, every_kind)]
    if not rows:
        raise LoadTestError("these runs have no load in common; repeat the first one's with --like")
    sure = 1 - (1 - CONFIDENCE) / len(rows)
    return [_change(row, before, after, sure, number) for number, row in enumerate(rows)]


def _rows(run: Run, level: Level, every_kind: bool) -> list[_Row]:
    names = [*_HEADLINES, *(["throughput"] if level.loop == CLOSED else [])]
    by_name = {figure.name: figure for figure in figures(run.plan.limits)}
    kinds = kinds_of(run.plan) if every_kind else [ALL]
    rows = [_Row(level, kind, by_name[name]) for kind in kinds for name in by_name if name in names]
    if STREAM in read_mix(run.plan.asking.traffic).kinds:
        rows += [_Row(level, STREAM, by_name[name]) for name in _OF_STREAMS]
    return rows


def _change(row: _Row, before: Run, after: Run, sure: float, seed: int) -> Change:
    """Both runs' figure, how they differ, and what to make of it."""
    one, other = (_Seen(row, run, seed) for run in (before, after))
    within = _within([one, other], sure) if one.is_enough and other.is_enough else math.nan
    difference = other.compared - one.compared
    low, middle, high = (difference + offset for offset in (-within, 0.0, within))
    near = NEAR_SHARE if row.figure.name in SHARES else NEAR
    verdict = _verdict(low, high, near, row.figure.is_lower_better)
    if row.figure.name not in SHARES:
        low, middle, high = math.exp(low), math.exp(middle), math.exp(high)
    return Change(row.level, row.kind, row.figure, one.value, other.value, middle, low, high, verdict)


def _within(seen: Sequence[_Seen], sure: float) -> float:
    """How far the difference of both sides may be off; NaN where a resample had no value.

    The degrees of freedom of a sum of variances are those of Welch and Satterthwaite.
    """
    parts = [part for one in seen for part in one.variances]
    variance = sum(part.value for part in parts)
    if not variance > 0:
        return variance
    degrees = variance**2 / sum(part.value**2 / part.degrees for part in parts)
    return errors_within(sure, degrees) * math.sqrt(variance)


@dataclass(frozen=True, slots=True)
class _Variance:
    """A part of a squared standard error, and of how many values it was told."""

    value: float
    degrees: float


def _verdict(low: float, high: float, near: float, is_lower_better: bool) -> str:
    if math.isnan(low):
        return TOO_FEW
    if low <= 0 <= high:
        return SAME if -near < low and high < near else UNSURE
    return WORSE if (low > 0) == is_lower_better else BETTER


class _Seen:
    """A row's figure in one run, and in resamples of it: shares as they are, others as logarithms."""

    def __init__(self, row: _Row, run: Run, seed: int) -> None:
        self._windows, self._row, self._seed = run.at(row.level), row, seed
        self.num_rounds = len(self._windows)
        self._what = sliced(row.figure, self._windows, row.kind)

    @property
    def value(self) -> float:
        if self._row.figure.name in SHARES:  # of values that are 1 and 0
            return float(self._what.values.mean()) if len(self._what.values) else math.nan
        return self._row.figure.of(self._windows, self._row.kind)

    @property
    def compared(self) -> float:
        """The value on the scale of `resamples`."""
        if self._row.figure.name in SHARES:
            return self.value
        return float(self._logarithm(numpy.array(self.value), self._what.seconds))

    @property
    def variances(self) -> tuple[_Variance, _Variance]:
        """Of the mean of the rounds as they lie apart, and of what resamples find within them.

        A resample of so few rounds sees them lie less far apart than they do, by one part of their number.
        """
        count = self.num_rounds
        apart = float(numpy.var([self._alone(one) for one in self._windows], ddof=1)) / count
        within = float(numpy.var(self.resamples)) - apart * (count - 1) / count
        if within < 0:  # resamples are drawn by chance
            within = 0.0
        return _Variance(apart, count - 1), _Variance(within, count * (SLICES - 1))

    def _alone(self, window: Window) -> float:
        """What `compared` would be of one round."""
        what = sliced(self._row.figure, [window], self._row.kind)
        if self._row.figure.name in SHARES:
            return float(what.values.mean()) if len(what.values) else math.nan
        value = self._row.figure.of([window], self._row.kind)
        return float(self._logarithm(numpy.array(value), what.seconds))

    @property
    def resamples(self) -> Numbers:
        found = self._resampled(self._row.figure)
        if self._row.figure.name in SHARES:
            return found / numpy.maximum(self._resampled(_ASKED), 1e-12)
        return self._logarithm(found, self._what.seconds)

    def _logarithm(self, values: Numbers, seconds: float) -> Numbers:
        """Of a rate with half a request more, so that there is one of no request at all; of a time that was
        too short to be told from none, as if it were half of the shortest that can be told."""
        if self._row.figure.share is None:
            return numpy.log(values + 0.5 / seconds)
        return numpy.log(numpy.maximum(values, SHORTEST_MS / 2))

    def _resampled(self, figure: Figure) -> Numbers:
        """With the same slices for every figure."""
        what = sliced(figure, self._windows, self._row.kind)
        return resampled(figure, what, numpy.random.default_rng(self._seed))

    @property
    def is_enough(self) -> bool:
        share, count = self._row.figure.share, len(self._what.values)
        if self.num_rounds < FEWEST_ROUNDS or not count:
            return False
        return share is None or count * (1 - share) >= FEWEST_BEYOND


_ASKED = Figure("asked", "requests/s", lambda one: [1.0])
