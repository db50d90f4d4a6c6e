"""The highest rate at which a server holds a bound, on a grid of rates, by windows that may mislead.

Knows: rates, windows, medians. Must not know: servers, clocks.

    rate   1.00  1.05  1.10  1.16  1.22  1.28  1.34      each 5 % above the last, the same for all servers
    seen   holds       holds        lost                 between the two the search goes on,
                       ^^^^^ ^^^^^ ^^^^^                 and its neighbours are seen three times each
"""

from __future__ import annotations

import math
from collections import defaultdict
from statistics import median

from loadtests.live_load.window import Window

GRID = 1.05  # one rate over the next lower
STRIDE = 3  # steps of the grid while no bound has been found on that side
LOOKS = 3  # windows at both ends of the last bracket; their median p99 decides
MOST_WINDOWS = 18  # of 10 s, for three servers, and those at the calmer rate: a quarter of an hour


def rate_at(index: int) -> float:
    """Requests a second."""
    return GRID**index


def index_near(rate: float) -> int:
    return round(math.log(rate) / math.log(GRID))


class RateSearch:
    """Says at which rate to look next, and is told what was seen there."""

    def __init__(self, first_rate: float, bound_ms: float) -> None:
        self._first, self._bound_ms = index_near(first_rate), bound_ms
        self.windows: dict[int, list[Window]] = defaultdict(list)

    def add(self, index: int, seen: Window) -> None:
        self.windows[index].append(seen)

    def next_index(self) -> int | None:
        """None: the search is over."""
        if self.num_windows >= MOST_WINDOWS:
            return None
        highest, lost = self.highest(), self.lowest_lost()
        if highest is None:
            return self._first if lost is None else lost - STRIDE
        if lost is None:
            return highest + STRIDE
        if lost - highest > 1:
            return (highest + lost) // 2
        return next((index for index in (highest, lost) if len(self.windows[index]) < LOOKS), None)

    @property
    def num_windows(self) -> int:
        return sum(len(seen) for seen in self.windows.values())

    @property
    def rate(self) -> float:
        """The highest that holds; 0 where none was found."""
        highest = self.highest()
        return 0.0 if highest is None else rate_at(highest)

    def at_rate(self) -> list[Window]:
        """What was seen at `rate`."""
        highest = self.highest()
        return [] if highest is None else self.windows[highest]

    def highest(self) -> int | None:
        """Below the lowest rate that is lost: one that held by luck above it does not count."""
        lost = self.lowest_lost()
        holding = [index for index in self._seen() if self.holds(index)]
        return max((index for index in holding if lost is None or index < lost), default=None)

    def lowest_lost(self) -> int | None:
        return min((index for index in self._seen() if not self.holds(index)), default=None)

    def _seen(self) -> list[int]:
        return [index for index, seen in self.windows.items() if seen]

    def holds(self, index: int) -> bool:
        """By the median: a window that is lost counts as endless."""
        seen = self.windows[index]
        return median(one.p99_ms if one.holds(math.inf) else math.inf for one in seen) < self._bound_ms
