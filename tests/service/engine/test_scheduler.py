"""The scheduler, whatever happens in whatever order: nothing lost or served twice, no budget exceeded."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from model.blocks import whole_blocks
from service.engine.config import EngineConfig
from service.engine.errors import DeadlineExceeded, EngineOverloaded, SegmentCancelled, SegmentTooLarge
from service.engine.request import Segment
from service.engine.scheduler import Plan, Scheduler
from tests.service.engine.segments import segment

BYTES_PER_POSITION = 3


def scheduler(
    *, max_rows: int = 8, limit: int = 10_000, queue: int = 1_000, encode: int = 1_000, step: float = 5.0
) -> Scheduler:
    config = EngineConfig(
        max_rows=max_rows,
        cache_bytes_limit=limit,
        max_queue_tokens=queue,
        max_encode_tokens=encode,
        priority_step_seconds=step,
    )
    return Scheduler(config, BYTES_PER_POSITION)


def submit(to: Scheduler, *segments: Segment) -> None:
    for one in segments:
        to.submit(one, 1.0)


def keys(plan: Plan) -> list[int]:
    return [one.key for one in plan.joining]


def test_segments_join_in_turn_until_the_rows_are_used_up() -> None:
    s = scheduler(max_rows=5)
    submit(s, segment(0, rows=2), segment(1, rows=2), segment(2, rows=2), segment(3, rows=1))
    # Nobody overtakes 2, not even 3, which would fit.
    assert keys(s.plan(0.0)) == [0, 1]
    assert s.running.rows == 4
    s.release([0])
    assert keys(s.plan(0.0)) == [2, 3]
    assert s.running.rows == 5


def test_the_whole_future_is_reserved_in_bytes() -> None:
    # Two rows of 8 target positions and two sources of 4, each in a block of 16: 3 x (32 + 32) bytes.
    s = scheduler(limit=192)
    submit(s, segment(0), segment(1), segment(2))
    assert keys(s.plan(0.0)) == [0, 1]
    assert s.running.bytes_used == 192
    s.release([0, 1])
    assert s.running.bytes_used == 0


def test_a_longer_segment_makes_every_row_longer() -> None:
    s = scheduler(limit=3 * (2 * 32 + 2 * 16))
    submit(s, segment(0, max_length=8), segment(1, max_length=20), segment(2, max_length=8))
    assert keys(s.plan(0.0)) == [0, 1]
    s.release([1])
    assert keys(s.plan(0.0)) == [2]


def test_what_could_never_run_is_refused_with_bound_and_value() -> None:
    s = scheduler(max_rows=4, limit=300, queue=30)
    with pytest.raises(SegmentTooLarge) as caught:
        submit(s, segment(0, rows=5))
    assert (caught.value.field, caught.value.bound, caught.value.value) == ("beam_size", 4, 5)
    with pytest.raises(SegmentTooLarge) as caught:
        submit(s, segment(0, rows=4, max_length=25))
    assert (caught.value.field, caught.value.bound, caught.value.value) == (
        "cache_bytes",
        300,
        3 * (4 * 32 + 16),
    )
    with pytest.raises(SegmentTooLarge) as caught:
        submit(s, segment(0, num_tokens=31))
    assert (caught.value.field, caught.value.bound, caught.value.value) == ("source_tokens", 30, 31)
    assert s.is_idle


def test_a_full_queue_refuses_and_says_when_to_come_again() -> None:
    s = scheduler(queue=10)
    submit(s, segment(0, num_tokens=6))
    with pytest.raises(EngineOverloaded) as caught:
        s.submit(segment(1, num_tokens=5), 2.5)
    assert caught.value.retry_after_seconds == 2.5
    submit(s, segment(2, num_tokens=4))


def test_a_full_queue_takes_a_later_round_which_goes_first() -> None:
    s = scheduler(queue=10, max_rows=1)
    submit(s, segment(0, num_tokens=10, submitted_at=1.0))
    submit(s, segment(1, num_tokens=5, submitted_at=2.0, accepted_at=0.5))
    assert keys(s.plan(0.0)) == [1]


def test_few_enough_tokens_join_at_one_step_but_always_one_segment() -> None:
    s = scheduler(encode=10)
    submit(s, *(segment(key, num_tokens=n) for key, n in enumerate((30, 6, 4, 1))))
    assert keys(s.plan(0.0)) == [0]
    assert keys(s.plan(0.0)) == [1, 2]
    assert keys(s.plan(0.0)) == [3]


def test_the_cancelled_leave_once_and_free_what_they_had() -> None:
    s = scheduler(max_rows=1)
    submit(s, segment(0), segment(1), segment(2))
    s.plan(0.0)
    for key in (0, 0, 1, 1, 99):
        s.cancel(key)
    assert s.running.rows == 1  # its rows are in use until the plan
    plan = s.plan(0.0)
    left = [(leaving.segment.key, leaving.stage, type(leaving.error)) for leaving in plan.leaving]
    assert left == [(1, "queued", SegmentCancelled), (0, "running", SegmentCancelled)]
    assert keys(plan) == [2]
    assert s.plan(0.0) == Plan((), ())


def test_cancelling_what_ended_in_the_meantime_changes_nothing() -> None:
    s = scheduler()
    submit(s, segment(0))
    s.plan(0.0)
    s.cancel(0)
    s.release([0])
    assert s.plan(0.0) == Plan((), ())
    assert s.is_idle


def test_the_late_leave_queued_or_running() -> None:
    s = scheduler(max_rows=1)
    submit(s, segment(0, deadline=5.0), segment(1, deadline=4.0), segment(2))
    assert keys(s.plan(3.9)) == [0]
    plan = s.plan(4.0)
    assert [(leaving.segment.key, leaving.stage) for leaving in plan.leaving] == [(1, "queued")]
    plan = s.plan(5.0)
    assert [(leaving.segment.key, leaving.stage) for leaving in plan.leaving] == [(0, "running")]
    assert all(isinstance(leaving.error, DeadlineExceeded) for leaving in plan.leaving)
    assert keys(plan) == [2]


def test_clearing_hands_back_everything_once() -> None:
    s = scheduler(max_rows=2)
    submit(s, *(segment(key) for key in range(5)))
    s.plan(0.0)
    s.cancel(4)
    assert sorted(one.key for one in s.clear()) == [0, 1, 2, 3, 4]
    assert s.is_idle
    assert s.clear() == []


class SchedulerMachine(RuleBasedStateMachine):
    """Random arrivals, sizes, priorities, deadlines, cancellations and ends, held against plain sets."""

    MAX_ROWS, LIMIT, QUEUE, ENCODE = 6, 400, 40, 12

    def __init__(self) -> None:
        super().__init__()
        self.scheduler = scheduler(
            max_rows=self.MAX_ROWS, limit=self.LIMIT, queue=self.QUEUE, encode=self.ENCODE
        )
        self.now = 0.0
        self.segments: dict[int, Segment] = {}
        self.waiting: set[int] = set()
        self.running: set[int] = set()
        self.cancelled: set[int] = set()
        self.gone: set[int] = set()

    @rule(
        num_tokens=st.integers(1, 12),
        rows=st.integers(1, 7),
        max_length=st.integers(1, 25),
        priority=st.integers(-10, 10),
        patience=st.one_of(st.none(), st.floats(0.0, 20.0)),
    )
    def submit(
        self, num_tokens: int, rows: int, max_length: int, priority: int, patience: float | None
    ) -> None:
        key = len(self.segments)
        one = segment(
            key,
            num_tokens=num_tokens,
            rows=rows,
            max_length=max_length,
            priority=priority,
            submitted_at=self.now,
            deadline=None if patience is None else self.now + patience,
        )
        possible = (
            rows <= self.MAX_ROWS
            and 3 * (rows * whole_blocks(max_length) + whole_blocks(num_tokens)) <= self.LIMIT
        )
        room = self.queue_tokens() + num_tokens <= self.QUEUE
        try:
            self.scheduler.submit(one, 1.0)
        except SegmentTooLarge:
            assert not possible
        except EngineOverloaded:
            assert not room
        else:
            assert possible
            assert room
            self.segments[key] = one
            self.waiting.add(key)

    def queue_tokens(self) -> int:
        return sum(self.segments[key].num_source_tokens for key in self.waiting)

    @precondition(lambda self: self.segments)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.segments)))
        self.scheduler.cancel(key)
        if key not in self.gone:
            self.cancelled.add(key)
            self.waiting.discard(key)

    @rule(seconds=st.floats(0.0, 8.0))
    def plan(self, seconds: float) -> None:
        self.now += seconds
        plan = self.scheduler.plan(self.now)
        left = [leaving.segment.key for leaving in plan.leaving]
        late = {k for k in self.waiting | self.running if self.segments[k].is_late(self.now)}
        assert sorted(left) == sorted(self.cancelled | late)
        for leaving in plan.leaving:
            expected = SegmentCancelled if leaving.segment.key in self.cancelled else DeadlineExceeded
            assert isinstance(leaving.error, expected)
        joining = [one.key for one in plan.joining]
        assert len(set(joining)) == len(joining)
        assert set(joining) <= self.waiting - set(left)
        self.leave(left)
        assert joining == self.by_turn()[: len(joining)]
        self.waiting -= set(joining)
        self.running |= set(joining)
        self.check_that_the_head_could_not_join(plan.joining)

    def check_that_the_head_could_not_join(self, joined: tuple[Segment, ...]) -> None:
        """Nobody starves: whoever's turn it is waits only for room, or for the encoder's next step."""
        if self.waiting:
            head = self.segments[self.by_turn()[0]]
            tokens = sum(one.num_source_tokens for one in (*joined, head))
            encoder_is_full = bool(joined) and tokens > self.ENCODE
            assert encoder_is_full or not self.fits(head)

    def fits(self, head: Segment) -> bool:
        together = [*(self.segments[key] for key in self.running), head]
        rows = sum(one.rows for one in together)
        longest = (
            max(one.num_target_positions for one in together),
            max(one.num_source_positions for one in together),
        )
        needed = BYTES_PER_POSITION * (rows * longest[0] + len(together) * longest[1])
        return rows <= self.MAX_ROWS and needed <= self.LIMIT

    def by_turn(self) -> list[int]:
        def turn(key: int) -> tuple[float, int]:
            one = self.segments[key]
            return one.submitted_at - 5.0 * one.request.priority, key

        return sorted(self.waiting, key=turn)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        keys = data.draw(st.sets(st.sampled_from(sorted(self.running)), min_size=1))
        self.scheduler.release(keys)
        self.leave(keys)

    def leave(self, keys: list[int] | set[int]) -> None:
        for key in keys:
            assert key not in self.gone
            self.gone.add(key)
            for group in (self.waiting, self.running, self.cancelled):
                group.discard(key)

    @invariant()
    def everyone_is_in_one_place(self) -> None:
        waiting, running = self.scheduler.waiting, self.scheduler.running
        assert {key for key in self.segments if key in waiting} == self.waiting
        assert {one.key for one in running.segments} == self.running
        assert len(waiting) == len(self.waiting)
        assert waiting.num_tokens == self.queue_tokens() <= self.QUEUE

    @invariant()
    def budgets_hold_and_free_plus_used_is_all(self) -> None:
        used = [self.segments[key] for key in self.running]
        running = self.scheduler.running
        assert running.rows == sum(one.rows for one in used) <= self.MAX_ROWS
        target = sum(one.rows for one in used) * max((one.num_target_positions for one in used), default=0)
        source = len(used) * max((one.num_source_positions for one in used), default=0)
        assert running.bytes_used == BYTES_PER_POSITION * (target + source) <= self.LIMIT


TestSchedulerMachine = SchedulerMachine.TestCase
TestSchedulerMachine.settings = settings(max_examples=40, stateful_step_count=40)


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 1.0, 5.0]))
def test_nobody_waits_longer_than_the_stated_bound(seed: int, priority_step: float) -> None:
    """(n + 1) x M steps, n being all that were ever ahead in turn and M the longest length limit."""
    rng, longest, num_segments = random.Random(seed), 6, 60
    s = scheduler(
        max_rows=4, limit=3 * (4 * whole_blocks(longest) + 4 * 9), queue=10_000, encode=9, step=priority_step
    )
    accepted: dict[int, Segment] = {}
    remaining: dict[int, int] = {}
    arrived: dict[int, int] = {}
    waited: dict[int, int] = {}
    step = 0
    while len(waited) < num_segments:
        for _ in range(rng.choice([0, 0, 1, 3]) if len(accepted) < num_segments else 0):
            key = len(accepted)
            size = {"rows": rng.choice([1, 1, 4]), "num_tokens": rng.randint(1, 9), "max_length": longest}
            accepted[key] = segment(key, submitted_at=step, priority=rng.randint(-10, 10), **size)
            s.submit(accepted[key], 1.0)
            arrived[key] = step
        for one in s.plan(step).joining:
            remaining[one.key] = rng.randint(1, longest)
            waited[one.key] = step - arrived[one.key]
        ended = [key for key, left in remaining.items() if left == 1]
        remaining = {key: left - 1 for key, left in remaining.items() if left > 1}
        s.release(ended)
        step += 1

    def turn(key: int) -> tuple[float, int]:
        return accepted[key].submitted_at - priority_step * accepted[key].request.priority, key

    for key, steps in waited.items():
        joined = arrived[key] + steps
        ahead = [
            k for k in accepted if turn(k) < turn(key) and arrived[key] <= arrived[k] + waited[k] <= joined
        ]
        assert steps <= (len(ahead) + 1) * longest
        latest = arrived[key] + priority_step * (10 - accepted[key].request.priority)
        assert all(arrived[k] <= latest for k in ahead)
