"""What a search for the highest rate has found: a sentence, a table, JSON. Must not know: how it searched."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict

from loadtests.report import Figures, Report
from loadtests.traffic.saturate import Looked, Saturation, Search
from loadtests.traffic.tables import FEWEST_FOR_P99, shown

SURE = 0.95
COLUMNS = (
    "requests/s",
    "holds",
    "sure",
    "p50 ms",
    "p99 ms",
    "answered",
    "not answered well",
    "given up",
    "windows",
)
NOTE = (
    "Requests come at random moments (Poisson) whether or not the server keeps up; latencies count from when "
    "a request was due. Medians of windows. Sure: the share of resamples that say the same. Given up: in so "
    "many windows too many waited."
)


def sentence(search: Search, seen: Saturation) -> str:
    """The finding and how sure it is."""
    bound = f"p99 of the {search.what.replace('-', ' ')} under {search.bound_ms:g} ms"
    if not seen.rate:
        lowest = min(one.rate for one in seen.looked)
        return f"No rate with {bound} was found; the lowest tried was {lowest:.3g} requests/s."
    told = f"Highest rate with {bound}: {seen.rate:.3g} requests/s"
    if math.isinf(seen.next_rate):
        return f"{told} at least; the search ended before it found one that is too much."
    low, high = seen.between(SURE)
    span = f"from {low:.3g}" if math.isinf(high) else f"from {low:.3g} to {high:.3g}"
    return (
        f"{told}; {seen.next_rate:.3g} did not hold. {seen.confidence:.0%} sure of just these two, "
        f"{SURE:.0%} of {span} requests/s."
    )


def doubts(seen: Saturation) -> list[str]:
    """What makes the finding less than it seems."""
    few = seen.fewest_answers
    if not seen.rate or few >= FEWEST_FOR_P99:
        return []
    return [f"A window had only {few} answers, too few for a 99th percentile: give more --seconds."]


def report(search: Search, seen: Saturation, facts: Mapping[str, str], name: str) -> Report:
    data = {
        "rate": seen.rate,
        "next_rate": _finite(seen.next_rate),
        "confidence": round(seen.confidence, 3),
        "surely_between": [_finite(rate) for rate in seen.between(SURE)],
        "search": asdict(search),
        "looked": [{name: _finite(value) for name, value in asdict(one).items()} for one in seen.looked],
    }
    table = Figures("Rates", COLUMNS, [_row(one) for one in seen.looked])
    notes = [sentence(search, seen), *doubts(seen), NOTE]
    return Report(name, "The rate that a server keeps up with", facts, [table], data, notes)


def _row(one: Looked) -> list[str]:
    verdict = ["yes" if one.holds else "no", f"{max(one.sure, 1 - one.sure):.0%}"]
    counts = [str(count) for count in (one.answered, one.not_done, one.given_up, one.windows)]
    return [f"{one.rate:.3g}", *verdict, shown(one.p50_ms), shown(one.p99_ms), *counts]


def _finite(value: float) -> float | None:
    """JSON has no other numbers."""
    return value if math.isfinite(value) else None
