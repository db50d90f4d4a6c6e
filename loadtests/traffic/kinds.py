"""Kinds of requests and how often each is asked. Knows: names, shares. Must not know: texts, HTTP, clocks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from loadtests.traffic.faults import LoadTestError

TRANSLATE, BATCH, STREAM = "translate", "batch", "stream"
KINDS = (TRANSLATE, BATCH, STREAM)
MIXED = "mixed"
MIXED_SHARES = {TRANSLATE: 7.0, BATCH: 1.0, STREAM: 2.0}


@dataclass(frozen=True, slots=True)
class Mix:
    """How often each kind is asked, as weights above 0."""

    shares: Mapping[str, float]

    @property
    def kinds(self) -> tuple[str, ...]:
        """In the order of `KINDS`."""
        return tuple(kind for kind in KINDS if kind in self.shares)

    def __str__(self) -> str:
        return ",".join(f"{kind}={self.shares[kind]:g}" for kind in self.kinds)


def read_mix(text: str) -> Mix:
    """`translate`, `batch`, `stream`, `mixed`, or weights: `translate=7,batch=1`. Raises LoadTestError."""
    if text == MIXED:
        return Mix(MIXED_SHARES)
    shares: dict[str, float] = {}
    for part in text.split(","):
        kind, equals, weight = part.strip().partition("=")
        if kind not in KINDS:
            raise LoadTestError(
                f"traffic: unknown kind {kind!r}; use {', '.join(KINDS)}, {MIXED}, "
                f"or weights as in {TRANSLATE}=7,{STREAM}=3"
            )
        shares[kind] = _weight(kind, weight) if equals else 1.0
    return Mix(shares)


def _weight(kind: str, text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not (0 < weight < math.inf):
        raise LoadTestError(f"traffic: the weight of {kind} must be a number above 0, got {text!r}")
    return weight
