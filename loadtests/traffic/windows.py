"""A stretch of time under one level of load, and all that was seen in it.

Knows: levels, samples, scrapes. Must not know: how load is made, what is thought of it.

        warm-up            counts                       answers that are late
    |------------|0------------------------seconds|--------------------|
       due < 0            0 <= due < seconds          due before, ended after
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from loadtests.traffic.arrivals import POISSON
from loadtests.traffic.samples import Sample

CLOSED, OPEN = "closed", "open"


@dataclass(frozen=True, slots=True)
class Level:
    """`amount` users who wait for their answers (closed), or requests a second that do not wait (open)."""

    loop: str
    amount: float
    arrivals: str = ""  # of an open loop

    @property
    def name(self) -> str:
        if self.loop == CLOSED:
            return f"{self.amount:g} user" + ("s" if self.amount > 1 else "")
        return f"{self.amount:g}/s" + ("" if self.arrivals == POISSON else f", {self.arrivals}")


@dataclass(frozen=True, slots=True)
class Scrape:
    """What the server's metrics page said, by name without `verto_`; `at` in seconds."""

    at: float
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Window:
    """`began_at` is the Unix time of its second 0."""

    level: Level
    round: int
    began_at: float
    seconds: float
    samples: Sequence[Sample]
    scrapes: Sequence[Scrape] = field(default_factory=tuple)

    def counts(self, moment: float) -> bool:
        return 0.0 <= moment < self.seconds
