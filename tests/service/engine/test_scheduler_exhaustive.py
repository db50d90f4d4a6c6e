"""The scheduler against its rules said plainly: every short schedule, and long random ones.

A schedule is a sequence of arrivals, cancellations, ends and plans; after each of them the scheduler and the
naive one must agree on everything: who waits, who runs, who left and why, what is reserved and what is free.
"""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.engine.config import EngineConfig
from service.engine.errors import EngineError
from service.engine.request import Segment
from service.engine.scheduler import Scheduler
from tests.service.engine.naive_scheduler import NaiveScheduler
from tests.service.engine.segments import segment

BYTES = 3
# Three rows, nine queued tokens, four tokens to encode at a step, room for a long segment or two short ones.
TIGHT = EngineConfig(max_rows=3, max_queue_tokens=9, cache_bytes_limit=3 * 64, max_encode_tokens=4)
STEPS = (
    "short arrives",
    "wide arrives",
    "long arrives late",
    "urgent arrives",
    "oldest waiting cancelled",
    "oldest running cancelled",
    "oldest running ends",
    "plan",
)


class Pair:
    """A scheduler and its naive twin, always told the same, compared after each step."""

    def __init__(self, config: EngineConfig) -> None:
        self.real, self.naive = Scheduler(config, BYTES), NaiveScheduler(config, BYTES)
        self.now, self.accepted, self.served, self.gone = 0.0, dict[int, Segment](), set[int](), set[int]()
        self.num_arrivals = 0

    def submit(self, **size: int | float | None) -> None:
        one = segment(self.num_arrivals, submitted_at=self.now, **size)  # type: ignore[arg-type]
        self.num_arrivals += 1
        assert self.refusal(one) == self.naive.refusal(one)
        if one.key in self.real.waiting:
            self.naive.waiting.append(one)
            self.accepted[one.key] = one

    def refusal(self, one: Segment) -> str | None:
        try:
            self.real.submit(one, 1.0)
        except EngineError as error:
            return type(error).__name__
        return None

    def cancel(self, key: int) -> None:
        self.real.cancel(key)
        self.naive.cancel(key)

    def end(self, keys: list[int]) -> None:
        self.real.release(keys)
        self.naive.end(keys)
        self.leave(keys)

    def plan(self, seconds: float) -> None:
        self.now += seconds
        plan = self.real.plan(self.now)
        left = [(one.segment.key, one.stage, type(one.error).__name__) for one in plan.leaving]
        joined = [one.key for one in plan.joining]
        assert (sorted(left), joined) == self.naive.plan(self.now)
        assert not self.served & set(joined), "served twice"
        self.served |= set(joined)
        self.leave([key for key, _, _ in left])

    def leave(self, keys: list[int]) -> None:
        for key in keys:
            assert key not in self.gone, "left twice"
            self.gone.add(key)

    def check(self) -> None:
        real, naive = self.real, self.naive
        waiting, running = {s.key for s in naive.waiting}, {s.key for s in naive.running}
        assert {key for key in self.accepted if key in real.waiting} == waiting
        assert {s.key for s in real.running.segments} == running
        assert (len(real.waiting), real.waiting.num_tokens) == (len(waiting), naive.queue_tokens)
        assert (real.running.rows, real.running.bytes_used) == (naive.rows, naive.bytes_of(naive.running))
        assert real.running.rows <= naive.config.max_rows
        assert real.running.bytes_used <= naive.config.cache_bytes_limit
        leaving = {key for key, _, _ in naive.left}
        # Nothing lost: whoever was accepted waits, runs, is on the way out, or has gone.
        assert self.accepted.keys() == waiting | running | leaving | self.gone
        assert len(self.accepted) == len(waiting) + len(running) + len(leaving) + len(self.gone)


def take(pair: Pair, step: str) -> None:
    if step == "short arrives":
        pair.submit(num_tokens=2, max_length=2)
    elif step == "wide arrives":
        pair.submit(num_tokens=3, rows=2, max_length=4)
    elif step == "long arrives late":
        pair.submit(num_tokens=5, max_length=9, deadline=pair.now + 1.0)
    elif step == "urgent arrives":
        pair.submit(num_tokens=1, max_length=3, priority=1)
    elif step == "plan":
        pair.plan(1.0)
    elif step == "oldest waiting cancelled":
        pair.cancel(min((one.key for one in pair.naive.waiting), default=-1))
    elif step == "oldest running cancelled":
        pair.cancel(min((one.key for one in pair.naive.running), default=-1))
    elif pair.naive.running:
        pair.end([pair.naive.running[0].key])


@pytest.mark.parametrize("first", STEPS)
def test_every_schedule_of_five_steps_goes_as_the_rules_say(first: str) -> None:
    """8^5 schedules, each closed by plans until nothing waits: who was accepted leaves exactly once."""
    for rest in itertools.product(STEPS, repeat=4):
        pair = Pair(TIGHT)
        for step in (first, *rest):
            take(pair, step)
        pair.check()
        while not pair.real.is_idle:
            pair.plan(1.0)
            pair.end([one.key for one in pair.naive.running])
        pair.check()
        assert pair.gone == pair.accepted.keys()


@settings(max_examples=60)
@given(st.integers(0, 10**9))
def test_long_random_schedules_go_as_the_rules_say(seed: int) -> None:
    rng = random.Random(seed)
    config = EngineConfig(
        max_rows=rng.randint(1, 8),
        max_queue_tokens=rng.randint(1, 60),
        cache_bytes_limit=rng.randint(30, 900),
        max_encode_tokens=rng.randint(1, 30),
        priority_step_seconds=rng.choice([0.0, 0.5, 5.0]),
    )
    pair = Pair(config)
    for _ in range(150):
        kind = rng.random()
        if kind < 0.5:
            size = {"num_tokens": rng.randint(1, 12), "rows": rng.randint(1, 9)}
            deadline = pair.now + rng.uniform(0, 20) if rng.random() < 0.5 else None
            length, priority = rng.randint(1, 25), rng.randint(-10, 10)
            pair.submit(**size, max_length=length, priority=priority, deadline=deadline)
        elif kind < 0.6 and pair.num_arrivals:
            pair.cancel(rng.randrange(pair.num_arrivals))
        elif kind < 0.8 and pair.naive.running:
            running = [one.key for one in pair.naive.running]
            pair.end(rng.sample(running, rng.randint(1, len(running))))
        else:
            pair.plan(rng.uniform(0, 3))
        pair.check()
    assert sorted(one.key for one in pair.real.clear()) == sorted(pair.accepted.keys() - pair.gone)
    assert (pair.real.running.rows, pair.real.running.bytes_used, pair.real.waiting.num_tokens) == (0, 0, 0)
