"""The highest rate of requests at which 99 of 100 stay below a bound, and how sure that is.

Knows: a search over rates, windows of an open loop. Must not know: files, what is printed.

The search (`loadtests/live_load/rate_search.py`) brackets the rate, halves the bracket on a grid of 5 %, and
looks at both of its ends three times.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy

from loadtests.live_load import window as live
from loadtests.live_load.rate_search import RateSearch, rate_at
from loadtests.measures import percentile
from loadtests.open_loop import waiting_users
from loadtests.traffic.arrivals import POISSON
from loadtests.traffic.bootstrap import Numbers, resampled, sliced
from loadtests.traffic.faults import LoadTestError
from loadtests.traffic.figures import ALL, Figure, figures
from loadtests.traffic.limits import DEFAULT, FIRST_TEXT, LATENCY
from loadtests.traffic.open_window import finished, open_window
from loadtests.traffic.plan import Asking
from loadtests.traffic.run import Bench
from loadtests.traffic.samples import DONE
from loadtests.traffic.windows import OPEN, Level, Window

REFUSED_SECONDS = 0.1
GUESSING_USERS = 12  # whose throughput in a closed loop is where the search begins
_FIGURES = {LATENCY: "latency p99", FIRST_TEXT: "first text p99"}


@dataclass(frozen=True, slots=True)
class Search:
    """`bound_ms` is of `what`: the whole latency, or a stream's first text."""

    asking: Asking = field(default_factory=lambda: Asking(traffic="translate=1"))
    bound_ms: float = 1000.0
    what: str = LATENCY
    seconds: float = 8.0

    def __post_init__(self) -> None:
        if self.what not in _FIGURES:
            raise LoadTestError(f"--of: {self.what!r} is none; use {' or '.join(_FIGURES)}")
        if self.what == FIRST_TEXT and self.asking.traffic != "stream=1":
            raise LoadTestError("--of first-text is for streams alone; give --traffic stream with it")
        for name, value in (("--bound-ms", self.bound_ms), ("--seconds", self.seconds)):
            if not 0 < value < math.inf:
                raise LoadTestError(f"{name}: must be above 0, got {value:g}")

    @property
    def warm_up_seconds(self) -> float:
        """Before each window."""
        return min(2.0, self.seconds / 4)

    @property
    def guessing_seconds(self) -> float:
        """That users ask before the search begins."""
        return min(4.0, self.seconds)

    @property
    def figure(self) -> Figure:
        return next(one for one in figures(DEFAULT) if one.name == _FIGURES[self.what])


@dataclass(frozen=True, slots=True)
class Looked:
    """All windows at one rate. `holds` by the median of their 99th percentiles.

    `sure`: the share of resamples in which the bound is kept.
    """

    rate: float
    holds: bool
    sure: float
    p50_ms: float
    p99_ms: float
    answered: int
    not_done: int
    given_up: int  # windows in which the server was too far behind to go on
    windows: int


@dataclass(frozen=True, slots=True)
class Saturation:
    """`rate` is 0 where none held; `next_rate` the lowest that did not hold, infinite where all held."""

    rate: float
    next_rate: float
    looked: Sequence[Looked]
    fewest_answers: int  # of a window at `rate`

    @property
    def confidence(self) -> float:
        """That `rate` holds and `next_rate` does not."""
        sure = {one.rate: one.sure for one in self.looked}
        return sure.get(self.rate, 1.0) * (1.0 - sure.get(self.next_rate, 0.0))

    def between(self, confidence: float) -> tuple[float, float]:
        """The highest rate that surely holds and the lowest that surely does not; 0 and infinity for none."""
        doubt = (1.0 - confidence) / 2
        high = min((one.rate for one in self.looked if one.sure <= doubt), default=math.inf)
        held = [one.rate for one in self.looked if one.sure >= 1.0 - doubt and one.rate < high]
        return max(held, default=0.0), high


def saturate(on: Bench, search: Search, done: Callable[[], None] = lambda: None) -> Saturation:
    """Of a server. `done` is told of every window."""
    return search_rates(
        search,
        _capacity(on, search.guessing_seconds),
        lambda rate, number: _look(on, search, rate, number),
        done,
    )


def search_rates(
    search: Search, first_rate: float, look: Callable[[float, int], Window], done: Callable[[], None]
) -> Saturation:
    """`look(rate, number)` makes the window with this number at a rate."""
    rates, seen = RateSearch(first_rate, search.bound_ms), defaultdict[int, list[Window]](list)
    while (index := rates.next_index()) is not None:
        one = look(rate_at(index), len(seen[index]))
        seen[index].append(one)
        rates.add(index, summary(search, one))
        done()
    lost = rates.lowest_lost()
    return Saturation(
        rate=rates.rate,
        next_rate=math.inf if lost is None else rate_at(lost),
        looked=[_looked(search, rates, index, seen[index]) for index in sorted(seen)],
        fewest_answers=min((one.answered for one in rates.at_rate()), default=0),
    )


def _capacity(on: Bench, seconds: float) -> float:
    """Requests a second of users who wait."""

    async def door(number: int) -> int:
        is_done = (await on.sender.send(number, 0.0, 0.0)).outcome == DONE
        if not is_done:  # who is refused and asks again at once is no user
            await asyncio.sleep(REFUSED_SECONDS)
        return int(is_done)

    async def ask() -> float:
        outcomes = await waiting_users(door, GUESSING_USERS, seconds)
        return sum(one.status for one in outcomes) / seconds

    return max(0.5, finished(on.sender, ask))


def _look(on: Bench, search: Search, rate: float, number: int) -> Window:
    """A window at one rate."""
    most_waiting = max(live.FEWEST_WAITING, round(live.LOST_SECONDS * search.bound_ms / 1000 * rate))
    lengths = (search.seconds, search.warm_up_seconds)
    seed = 1000 * on.asking.seed + round(rate)
    return open_window(on.sender, Level(OPEN, rate, POISSON), *lengths, number, seed, most_waiting)


def summary(search: Search, one: Window) -> live.Window:
    """As the search reads it."""
    counted = [sample for sample in one.samples if one.counts(sample.due)]
    figure = search.figure
    values = [value for sample in counted for value in figure.values(sample)]
    not_done = sum(sample.outcome != DONE for sample in counted)
    last = max((sample.due for sample in one.samples), default=-math.inf)
    return live.Window(
        rate=one.level.amount,
        answered=len(values),
        failed=not_done,
        given_up=last < one.seconds - max(1.0, 20.0 / one.level.amount),
        p50_ms=percentile(values, 0.5),
        p99_ms=percentile(values, 0.99),
        lateness_p99_ms=percentile([1000 * sample.lateness for sample in counted], 0.99),
    )


def _looked(search: Search, rates: RateSearch, index: int, seen: Sequence[Window]) -> Looked:
    windows = rates.windows[index]
    return Looked(
        rate=rate_at(index),
        holds=rates.holds(index),
        sure=_share_below(search, seen),
        p50_ms=median(one.p50_ms for one in windows),
        p99_ms=median(one.p99_ms for one in windows),
        answered=sum(one.answered for one in windows),
        not_done=sum(one.failed for one in windows),
        given_up=sum(one.given_up for one in windows),
        windows=len(windows),
    )


def _share_below(search: Search, windows: Sequence[Window]) -> float:
    """In how many resamples the bound is kept; none where most windows had requests without an answer."""
    whole = [window for window in windows if summary(search, window).holds(math.inf)]
    if 2 * len(whole) <= len(windows):
        return 0.0
    figure = search.figure
    again: Numbers = resampled(figure, sliced(figure, whole, ALL), numpy.random.default_rng(0))
    return float(numpy.mean(again < search.bound_ms))
