"""Everything that is simulated, in one place: which loads, which fleets, which losses; and their tables.

Knows: scenarios, subjects, inputs. Must not know: files of reports, pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from loadtests.report import Figures
from loadtests.scaling.autoscaler import Autoscaler
from loadtests.scaling.capacity import Held, million_characters
from loadtests.scaling.fleet import Assumptions, ReadBusy, Scaler, read_backlog
from loadtests.scaling.inputs import HpaRules, LiveLoad, Start
from loadtests.scaling.scenarios import (
    Course,
    Point,
    autoscaled,
    rolling_update,
    steady_load,
    zone_lost,
)
from loadtests.scaling.subjects import Subject
from loadtests.scaling.traffic import Profile

FLEETS = (1, 2, 4, 8)
LOADS = (0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0, 1.1, 1.3)
STEADY_SECONDS = 40.0
# Of what one replica can do: a quiet time, a morning that comes within a minute, a busy time, a quiet time.
QUIET, BUSY = 1.2, 5.0
COURSE_OF_DAY = ((0.0, QUIET), (240.0, QUIET), (300.0, BUSY), (720.0, BUSY), (780.0, QUIET), (1500.0, QUIET))
TARGET_FACTORS = (0.25, 1.0, 2.0, 4.0)
HEADROOM = 0.7  # what a number that is fixed is chosen for
ZONES, PER_ZONE = 3, 2
ZONE_LOADS = (0.5, 0.6, 0.65, 0.7, 0.8)
UPDATED, UPDATE_LOAD = 4, 0.75
COST_LOADS = (0.3, 0.5, 0.7)
SCALED = ["answered within 1 s", "refused", "p50 ms", "p99 ms", "most replicas", "replica minutes"]


@dataclass(frozen=True, slots=True)
class World:
    """What all scenarios start from."""

    subject: Subject
    rules: HpaRules
    start: Start
    assumed: Assumptions

    @property
    def cold_seconds(self) -> float:
        """From a wish for a replica to its first request, on a node that is there."""
        return self.assumed.image_there_seconds + self.start.ready_seconds + self.assumed.routed_seconds

    @property
    def profile(self) -> Profile:
        return [(at, rate * self.subject.capacity) for at, rate in COURSE_OF_DAY]


def check_point(subject: Subject, live: LiveLoad, assumed: Assumptions) -> Point:
    """The simulation where it was measured: one replica under the calm load. Nothing is fitted to that."""
    return steady_load(subject, 1, live.calm_rate / subject.capacity, assumed, seconds=120.0)


def steady_points(world: World) -> Iterator[Point]:
    for count in FLEETS:
        for load in LOADS:
            yield steady_load(world.subject, count, load, world.assumed, STEADY_SECONDS)


def autoscaling_courses(world: World) -> Iterator[Course]:
    """By backlog, by CPU, by both, each with nodes that are there and with nodes that have to be made."""
    cold, slow = world.cold_seconds, world.cold_seconds + world.assumed.new_node_seconds
    by_backlog, by_cpu = _by_backlog(world), _by_cpu(world)
    ways: Sequence[tuple[str, Sequence[Callable[[], Scaler]], float]] = (
        ("backlog", [by_backlog], cold),
        ("CPU", [by_cpu], cold),
        ("both", [by_backlog, by_cpu], cold),
        ("backlog, new nodes", [by_backlog], slow),
        ("CPU, new nodes", [by_cpu], slow),
    )
    for name, makers, seconds in ways:
        scalers = [make() for make in makers]
        named = f"{name} ({seconds:.0f} s to the first request)"
        yield autoscaled(
            named, world.subject, world.profile, scalers, seconds, world.assumed, world.rules.fewest
        )
    fixed = -int(-BUSY / HEADROOM // 1)
    yield autoscaled(f"{fixed} replicas all day", world.subject, world.profile, [], 0.0, world.assumed, fixed)


def target_courses(world: World) -> Iterator[Course]:
    """By backlog with other targets than the committed one, and with that."""
    for factor in TARGET_FACTORS:
        target = factor * world.rules.target_backlog_seconds
        other = replace(world, rules=replace(world.rules, target_backlog_seconds=target))
        scaler = _by_backlog(other)()
        yield autoscaled(
            f"{target:g} s", world.subject, world.profile, [scaler], world.cold_seconds, world.assumed,
            world.rules.fewest,
        )  # fmt: skip


def _by_backlog(world: World) -> Callable[[], Scaler]:
    return lambda: _scaler(world, world.rules.target_backlog_seconds, read_backlog)


def _by_cpu(world: World) -> Callable[[], Scaler]:
    return lambda: _scaler(world, world.assumed.cpu_target, ReadBusy())


def _scaler(world: World, target: float, read: Callable[..., float]) -> Scaler:
    rules = world.rules
    rule = Autoscaler(target, rules.fewest, rules.most, rules.up, rules.down)
    return Scaler(rule, read, world.assumed.average_seconds)


def zone_courses(world: World) -> Iterator[Course]:
    for load in ZONE_LOADS:
        yield zone_lost(world.subject, ZONES, PER_ZONE, load, world.assumed)


def update_courses(world: World) -> Iterator[Course]:
    for name, surge in (("a new one first (maxSurge 1)", 1), ("an old one first (maxUnavailable 1)", 0)):
        yield rolling_update(
            name, world.subject, UPDATED, UPDATE_LOAD, world.cold_seconds, surge, world.assumed
        )


def check_table(point: Point, live: LiveLoad) -> Figures:
    rows = [
        ["p50, ms", f"{point.p50_ms:.0f}", f"{live.calm_p50_ms:.0f}"],
        ["p99, ms", f"{point.p99_ms:.0f}", f"{live.calm_p99_ms:.0f}"],
    ]
    title = f"One replica at {live.calm_rate:.0f} requests/s"
    return Figures(title, ["", "simulated", "measured"], rows)


def held_table(all_held: Sequence[Held], start: Start) -> Figures:
    """The first was measured under live load, the others follow from step times."""
    known = [f"measured; {start.memory_mb:.0f} MB resident", *(["from step times"] * (len(all_held) - 1))]
    rows = [
        [
            one.name, str(one.rows), str(one.sentences), f"{one.usual_bytes / 1e6:.1f} MB",
            f"{one.longest_bytes / 1e6:.0f} MB", f"{one.sentences_per_second:.0f}",
            f"{one.characters_per_second:,.0f}", how,
        ]
        for one, how in zip(all_held, known, strict=True)
    ]  # fmt: skip
    columns = ["replica", "rows", "sentences at once", "keys and values, usual lengths", "all at the longest",
               "sentences/s", "characters/s", "how it is known"]  # fmt: skip
    return Figures("What one replica holds", columns, rows)


def cost_table(all_held: Sequence[Held], price: float) -> Figures:
    rows = [
        [
            one.name,
            *(f"{million_characters(price, one.characters_per_second, load):.4f}" for load in COST_LOADS),
        ]
        for one in all_held
    ]
    columns = ["replica", *(f"load {load:.0%}" for load in COST_LOADS)]
    return Figures(f"A million characters, at {price:g} per hour for one replica", columns, rows)


def steady_table(points: Sequence[Point]) -> Figures:
    rows = [
        [
            str(one.replicas),
            f"{one.load:.0%}",
            f"{one.p50_ms:.0f}",
            f"{one.p99_ms:.0f}",
            f"{one.refused_share:.1%}",
        ]
        for one in points
    ]
    return Figures("Replicas against load", ["replicas", "load", "p50 ms", "p99 ms", "refused"], rows)


def autoscaling_table(courses: Sequence[Course]) -> Figures:
    return Figures("A load that quadruples within a minute", ["replicas by", *SCALED], _scaled_rows(courses))


def target_table(courses: Sequence[Course]) -> Figures:
    return Figures("The same by backlog, with other targets", ["target", *SCALED], _scaled_rows(courses))


def _scaled_rows(courses: Sequence[Course]) -> list[list[str]]:
    return [
        [
            one.name, f"{one.summary['within_1_s']:.1%}", f"{one.summary['refused_share']:.1%}",
            f"{one.summary['p50_ms']:.0f}", f"{one.summary['p99_ms']:.0f}",
            f"{one.summary['most_replicas']:.0f}", f"{one.summary['replica_minutes']:.0f}",
        ]
        for one in courses
    ]  # fmt: skip


def zone_table(courses: Sequence[Course]) -> Figures:
    rows = [
        [
            f"{one.summary['load']:.0%}", f"{one.summary['load'] * ZONES / (ZONES - 1):.0%}",
            f"{one.summary['p99_ms_before']:.0f}", f"{one.summary['p99_ms_after']:.0f}",
            f"{one.summary['refused_after']:.1%}",
        ]
        for one in courses
    ]  # fmt: skip
    columns = ["load of all zones", "then, of those left", "p99 ms before", "p99 ms after", "refused after"]
    return Figures("One of three zones is lost", columns, rows)


def update_table(courses: Sequence[Course]) -> Figures:
    rows = [
        [
            one.name, f"{one.summary['p50_ms']:.0f}", f"{one.summary['p99_ms']:.0f}",
            f"{max(one.p99_ms):.0f}", f"{one.summary['refused_share']:.1%}",
        ]
        for one in courses
    ]  # fmt: skip
    columns = ["order", "p50 ms", "p99 ms", "p99 ms of the worst 5 s", "refused"]
    return Figures(f"A rolling update of {UPDATED} replicas at {UPDATE_LOAD:.0%} load", columns, rows)
