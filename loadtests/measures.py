"""Numbers from samples: percentiles and medians over repeated rounds.

Knows: lists of numbers. Must not know: what they measure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median


def percentile(samples: Sequence[float], share: float) -> float:
    """The smallest sample that at least `share` (0..1) of all do not exceed; NaN where there is none."""
    if not samples:
        return math.nan
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """For each name, the median over the rounds, which all have the same names."""
    return {name: median(one[name] for one in rounds) for name in rounds[0]} if rounds else {}
