"""What a run does: which levels of load, for how long, with what requests. The part that two runs must share.

Knows: levels, limits, checks of options. Must not know: servers, how load is made.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from loadtests.traffic import limits
from loadtests.traffic.arrivals import ARRIVALS, BURSTS, POISSON
from loadtests.traffic.faults import LoadTestError
from loadtests.traffic.kinds import MIXED
from loadtests.traffic.windows import CLOSED, OPEN, Level

# Of the best throughput that users who wait have reached, where no rates are given.
SHARES_OF_PEAK = (0.3, 0.6, 0.9, 1.2)
BURST_SHARE = 0.5
STRATEGIES = ("beam", "greedy", "sample")


@dataclass(frozen=True, slots=True)
class Asking:
    """What is asked: the same numbers and seed are the same requests."""

    traffic: str = MIXED
    strategy: str | None = None
    source: str | None = None
    target: str | None = None
    sentences: str | None = None  # a file; None: made up
    seed: int = 0
    timeout_seconds: float = 30.0

    def __post_init__(self) -> None:
        if self.strategy not in (None, *STRATEGIES):
            raise LoadTestError(f"--strategy: {self.strategy!r} is none; use {', '.join(STRATEGIES)}")
        _above_zero("--timeout-seconds", self.timeout_seconds)


@dataclass(frozen=True, slots=True)
class Plan:
    """Levels take turns in `rounds`. `rates` None: shares of what users who wait have reached."""

    asking: Asking = field(default_factory=Asking)
    users: tuple[int, ...] = (1, 8, 32)
    rates: tuple[float, ...] | None = None
    arrivals: str = POISSON
    bursts: tuple[float, ...] | None = None  # rates that come in bursts
    seconds: float = 5.0
    warm_up_seconds: float = 1.5
    rounds: int = 3
    limits: Mapping[str, float] = field(default_factory=lambda: limits.DEFAULT)

    def __post_init__(self) -> None:
        if self.arrivals not in ARRIVALS:
            raise LoadTestError(f"--arrivals: {self.arrivals!r} is none; use {', '.join(ARRIVALS)}")
        for users in self.users:
            if users < 1:
                raise LoadTestError(f"--users: must be 1 or more, got {users}")
        for name, rates in (("--rates", self.rates), ("--bursts", self.bursts)):
            for rate in rates or ():
                _above_zero(name, rate)
        _above_zero("--seconds", self.seconds)
        if self.rounds < 1:
            raise LoadTestError(f"--rounds: must be 1 or more, got {self.rounds}")
        if not 0 <= self.warm_up_seconds < math.inf:
            raise LoadTestError(f"--warm-up-seconds: must be 0 or more, got {self.warm_up_seconds:g}")
        if not self.users and not self.rates and not self.bursts:
            raise LoadTestError("no load at all: give --users, --rates or --bursts")

    @property
    def closed(self) -> list[Level]:
        return [Level(CLOSED, users) for users in self.users]

    @property
    def open(self) -> list[Level]:
        return [
            *(Level(OPEN, rate, self.arrivals) for rate in self.rates or ()),
            *(Level(OPEN, rate, BURSTS) for rate in self.bursts or ()),
        ]

    def with_rates(self, peak: float) -> Plan:
        """Shares of `peak` requests a second, in two digits, in place of rates that were left out."""
        rates, bursts = self.rates, self.bursts
        if rates is None:
            rates = tuple(two_digits(share * peak) for share in SHARES_OF_PEAK)
        if bursts is None:
            bursts = (two_digits(BURST_SHARE * peak),)
        return dataclasses.replace(self, rates=rates, bursts=bursts)

    def scenario(self) -> dict[str, Any]:
        """As JSON."""
        return dataclasses.asdict(self) | {"limits": dict(self.limits)}


def read_plan(scenario: Mapping[str, Any]) -> Plan:
    """Of `Plan.scenario`. Raises `KeyError`, `TypeError` or LoadTestError for anything else."""
    lists = {name: scenario[name] for name in ("users", "rates", "bursts")}
    tuples = {name: None if values is None else tuple(values) for name, values in lists.items()}
    return Plan(**{**scenario, **tuples, "asking": Asking(**scenario["asking"])})


def differences(one: Plan, other: Plan) -> list[str]:
    """What two runs asked differently, so that their figures say nothing beside each other."""
    names = [
        item.name for item in dataclasses.fields(Plan) if item.name not in ("asking", "seconds", "rounds")
    ]
    pairs = [(name, getattr(one, name), getattr(other, name)) for name in names]
    asked = [item.name for item in dataclasses.fields(Asking)]
    pairs += [(name, getattr(one.asking, name), getattr(other.asking, name)) for name in asked]
    return [f"{name}: {_told(ours)} and {_told(theirs)}" for name, ours, theirs in pairs if ours != theirs]


def _told(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={number:g}" for name, number in sorted(value.items()))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(f"{number:g}" for number in value) or "none"
    return "none" if value is None else str(value)


def _above_zero(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise LoadTestError(f"{name}: must be above 0, got {value:g}")


def two_digits(value: float) -> float:
    """Rounded so that a run can be repeated from what is read: 87.4 is 87."""
    return float(f"{value:.2g}")
