"""What users saw of each act: counts, latencies, and whether what was promised held.

Knows: outcomes, moments. Must not know: processes, balancers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from loadtests.measures import percentile
from loadtests.rehearsal.acts import Act, Allowed
from loadtests.rehearsal.outcome import BAD, KINDS, OK, OUTCOMES, REFUSED, Outcome


@dataclass(frozen=True, slots=True)
class Played:
    """One act: when it was played, what it allowed, how often the balancer asked another replica."""

    act: Act
    began: float
    ended: float
    allowed: Allowed
    retries: int


@dataclass(frozen=True, slots=True)
class Finding:
    """Outcomes that ended during one act, by kind and outcome; latencies of those that were answered."""

    name: str
    seconds: float
    counts: dict[str, dict[str, int]]
    p50_ms: float
    p99_ms: float
    slowest_ms: float
    retries: int
    allowed: int
    is_kept: bool

    @property
    def spoilt(self) -> int:
        """Neither answered nor refused in good order, of both kinds."""
        return sum(self.count(kind, *BAD) for kind in KINDS)

    def count(self, kind: str, *outcomes: str) -> int:
        return sum(self.counts[kind][one] for one in outcomes)

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"spoilt": self.spoilt}


def findings(played: Sequence[Played], outcomes: Sequence[Outcome]) -> list[Finding]:
    """One for each act. An outcome belongs to the act in which it ended, the last has what ended later."""
    found = []
    for number, one in enumerate(played):
        is_last = number == len(played) - 1
        within = [
            each for each in outcomes if one.began <= each.ended and (is_last or each.ended < one.ended)
        ]
        found.append(finding(one, within))
    return found


def finding(one: Played, outcomes: Sequence[Outcome]) -> Finding:
    """Of the outcomes that ended during this act."""
    bad = [each for each in outcomes if each.is_bad]
    in_time = [1000 * each.seconds for each in outcomes if each.outcome == OK]
    return Finding(
        name=one.act.name,
        seconds=one.ended - one.began,
        counts={kind: _counts(outcomes, kind) for kind in KINDS},
        p50_ms=percentile(in_time, 0.5),
        p99_ms=percentile(in_time, 0.99),
        slowest_ms=max(in_time, default=float("nan")),
        retries=one.retries,
        allowed=one.allowed.spoilt,
        is_kept=is_kept(one.allowed, bad, sum(each.outcome == REFUSED for each in outcomes)),
    )


def is_kept(allowed: Allowed, bad: Sequence[Outcome], refused: int) -> bool:
    """Whether no more was spoilt than was in flight where that is allowed, and none refused elsewhere."""
    before = [one for one in bad if one.began <= allowed.counted]
    was_in_flight = len(before) <= allowed.spoilt and all(one.began <= allowed.end for one in bad)
    return was_in_flight and (allowed.refusals or not refused)


def _counts(outcomes: Sequence[Outcome], kind: str) -> dict[str, int]:
    counted = Counter(each.outcome for each in outcomes if each.kind == kind)
    return {name: counted[name] for name in OUTCOMES}


def reasons(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Why requests were not answered, and how often; the most frequent first."""
    told = Counter(f"{one.kind} {one.outcome}: {one.detail}" for one in outcomes if one.outcome != OK)
    return dict(told.most_common(12))
