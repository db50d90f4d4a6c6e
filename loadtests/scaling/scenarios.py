"""What is played on simulated clusters: steady loads, autoscaling, the loss of a zone, a rolling update.

Knows: clusters, fleets. Must not know: files, reports.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from loadtests.measures import percentile
from loadtests.scaling.cluster import Cluster, Record
from loadtests.scaling.fleet import Assumptions, Fleet, Scaler
from loadtests.scaling.subjects import Subject
from loadtests.scaling.traffic import Profile, arrivals, steady


@dataclass(frozen=True, slots=True)
class Point:
    """A steady load: `load` as a share of what all replicas can do; times of those answered."""

    replicas: int
    load: float
    p50_ms: float
    p99_ms: float
    refused_share: float


@dataclass(frozen=True, slots=True)
class Course:
    """One scenario by the second: arrivals, the slowest percent, refusals, replicas that are paid for."""

    name: str
    step_seconds: float
    offered: list[float]
    p99_ms: list[float]
    refused: list[float]
    replicas: list[float]
    summary: dict[str, float] = field(default_factory=dict)


def steady_load(subject: Subject, replicas: int, load: float, assumed: Assumptions, seconds: float) -> Point:
    """What a load that does not change meets, behind a first fifth that does not count."""
    cluster = Cluster(subject.speed, subject.mean_tokens, assumed.timeout_seconds)
    for _ in range(replicas):
        cluster.add(0.0)
    rate = load * replicas * subject.capacity
    record = cluster.run(arrivals(steady(rate, seconds), seed=replicas))
    times, refused = within(record, seconds / 5, seconds)
    total = len(times) + refused
    return Point(
        replicas, load, 1000 * percentile(times, 0.5), 1000 * percentile(times, 0.99), refused / max(1, total)
    )


def within(record: Record, begin: float, end: float) -> tuple[list[float], int]:
    """Of requests that came between these moments: seconds of those answered, and how many were refused."""
    times = [seconds for at, seconds in record.answered if begin <= at < end]
    return times, sum(begin <= at < end for at in record.refused)


def autoscaled(
    name: str, subject: Subject, profile: Profile, scalers: Sequence[Scaler], cold_seconds: float,
    assumed: Assumptions, replicas: int,
) -> Course:  # fmt: skip
    """The load of `profile` on a fleet that begins with so many replicas; without a scaler it stays so."""
    cluster = Cluster(subject.speed, subject.mean_tokens, assumed.timeout_seconds)
    if scalers:
        Fleet(cluster, scalers, cold_seconds, assumed).begin(replicas)
    else:
        cluster.record.replicas.append((0.0, replicas))
        for _ in range(replicas):
            cluster.add(0.0)
    return course(name, cluster.run(arrivals(profile, seed=1)), profile[-1][0], 10.0)


def zone_lost(subject: Subject, zones: int, per_zone: int, load: float, assumed: Assumptions) -> Course:
    """All replicas of one zone die at once after a minute; nobody replaces them within two more."""
    seconds, moment = 180.0, 60.0
    cluster = Cluster(subject.speed, subject.mean_tokens, assumed.timeout_seconds)
    everywhere = [cluster.add(0.0) for _ in range(zones * per_zone)]
    cluster.record.replicas = [(0.0, zones * per_zone), (moment, (zones - 1) * per_zone)]
    for one in everywhere[:per_zone]:
        cluster.at(moment, lambda now, one=one: cluster.kill(now, one))  # type: ignore[misc]
    rate = load * zones * per_zone * subject.capacity
    record = cluster.run(arrivals(steady(rate, seconds), seed=2))
    found = course(f"load {load:.0%} of all zones", record, seconds, 3.0)
    for when, begin, end in (("before", 10.0, moment), ("after", moment, seconds)):
        times, refused = within(record, begin, end)
        found.summary[f"p99_ms_{when}"] = 1000 * percentile(times, 0.99)
        found.summary[f"refused_{when}"] = refused / max(1, len(times) + refused)
    found.summary["load"] = load
    return found


def rolling_update(
    name: str, subject: Subject, replicas: int, load: float, cold_seconds: float, surge: int,
    assumed: Assumptions,
) -> Course:  # fmt: skip
    """All replicas are replaced, one at a time: with a surge the new one is ready before an old one goes."""
    seconds, cluster = 240.0, Cluster(subject.speed, subject.mean_tokens, assumed.timeout_seconds)
    olds = [cluster.add(0.0) for _ in range(replicas)]
    cluster.record.replicas.append((0.0, replicas))

    def replace_first(now: float) -> None:
        if not olds:
            return
        if not surge:
            go(now)
        cluster.record.replicas.append((now, replicas + surge - (not surge)))
        cluster.at(now + cold_seconds, ready)

    def go(now: float) -> None:
        cluster.close(olds.pop(0))

    def ready(now: float) -> None:
        cluster.add(now)
        if surge:
            go(now)
        cluster.record.replicas.append((now, replicas))
        replace_first(now)

    cluster.at(30.0, replace_first)
    rate = load * replicas * subject.capacity
    return course(name, cluster.run(arrivals(steady(rate, seconds), seed=3)), seconds, 5.0)


def course(name: str, record: Record, seconds: float, step_seconds: float) -> Course:
    """The record by steps of time, and what it comes to altogether."""
    steps = int(seconds // step_seconds)
    answered: list[list[float]] = [[] for _ in range(steps)]
    refused = [0] * steps
    for at, took in record.answered:
        answered[min(steps - 1, int(at // step_seconds))].append(took)
    for at in record.refused:
        refused[min(steps - 1, int(at // step_seconds))] += 1
    times = [took for _, took in record.answered]
    replicas = [_at(record.replicas, index * step_seconds) for index in range(steps)]
    summary = {
        "requests": float(record.arrived),
        "p50_ms": 1000 * percentile(times, 0.5),
        "p99_ms": 1000 * percentile(times, 0.99),
        "refused_share": len(record.refused) / max(1, record.arrived),
        "within_1_s": sum(took <= 1.0 for took in times) / max(1, record.arrived),
        "replica_minutes": sum(replicas) * step_seconds / 60,
        "most_replicas": max(replicas),
    }
    return Course(
        name=name,
        step_seconds=step_seconds,
        offered=[(len(some) + gone) / step_seconds for some, gone in zip(answered, refused, strict=True)],
        p99_ms=[1000 * percentile(some, 0.99) for some in answered],
        refused=[gone / step_seconds for gone in refused],
        replicas=replicas,
        summary=summary,
    )


def _at(changes: Sequence[tuple[float, int]], moment: float) -> float:
    return float([count for at, count in changes if at <= moment][-1])
