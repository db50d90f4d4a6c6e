"""From numbers to places on a picture, and which numbers stand at an axis. Knows: arithmetic only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_STEPS = (1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """`low` is drawn at `first`, `high` at `last`; in equal ratios where `is_log`."""

    low: float
    high: float
    first: float
    last: float
    is_log: bool = False

    def place(self, value: float) -> float:
        """Of a value outside the nearer end."""
        value = min(max(value, self.low), self.high)
        if self.is_log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.first + share * (self.last - self.first)

    def ticks(self, most: int = 7) -> list[float]:
        """Round numbers within the scale, ascending."""
        return _log_ticks(self.low, self.high) if self.is_log else _even_ticks(self.low, self.high, most)


def linear(values: Sequence[float], first: float, last: float) -> Scale:
    """From 0 to a little above the largest."""
    high = max((value for value in values if math.isfinite(value)), default=1.0)
    return Scale(0.0, 1.08 * high if high > 0 else 1.0, first, last)


def logarithmic(values: Sequence[float], first: float, last: float) -> Scale:
    """Around all that are above 0."""
    found = [value for value in values if math.isfinite(value) and value > 0] or [1.0, 10.0]
    low, high = 0.8 * min(found), 1.25 * max(found)
    if high / low < 10:  # at least about a power of ten, so that there are ticks
        low, high = low / 2, max(high, 5 * low)
    return Scale(low, high, first, last, is_log=True)


def _even_ticks(low: float, high: float, most: int) -> list[float]:
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(power * one for one in _STEPS if (high - low) / (power * one) <= most)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [step * 10.0**power for power in powers for step in _STEPS[:3]]
    found = [value for value in found if low <= value <= high]
    return found if len(found) <= 9 else [value for value in found if round(math.log10(value), 6) % 1 == 0]


def label(value: float) -> str:
    """As short as it can be: 1500 is 1,500 and 0.2 is 0.2."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == round(value) else f"{value:.3g}"
