"""The waiting queue: order by arrival and priority, deadlines, a bound in tokens."""

from __future__ import annotations

import pytest

from service.engine.waiting_queue import SPARE_ENTRIES, WaitingQueue
from tests.service.engine.segments import request, segment


def drained(queue: WaitingQueue) -> list[int]:
    keys = []
    while (head := queue.head()) is not None:
        queue.remove(head.key)
        keys.append(head.key)
    return keys


def test_equals_are_served_in_order_of_arrival() -> None:
    queue = WaitingQueue(100, 5.0)
    for key in (0, 1, 2, 3):
        queue.push(segment(key, submitted_at=7.0))
    assert drained(queue) == [0, 1, 2, 3]


def test_a_level_of_priority_is_worth_its_seconds_of_waiting_and_no_more() -> None:
    queue = WaitingQueue(100, 5.0)
    queue.push(segment(0, submitted_at=0.0))
    queue.push(segment(1, submitted_at=9.9, priority=2))
    queue.push(segment(2, submitted_at=10.1, priority=2))
    queue.push(segment(3, submitted_at=11.0, priority=-1))
    assert drained(queue) == [1, 0, 2, 3]


def test_tokens_are_counted_in_and_out() -> None:
    queue = WaitingQueue(10, 5.0)
    queue.push(segment(0, num_tokens=6))
    rooms = [queue.has_room(segment(9, num_tokens=number)) for number in (4, 5)]
    assert (queue.num_tokens, rooms) == (6, [True, False])
    queue.push(segment(1, num_tokens=4))
    assert queue.remove(0) is not None
    assert queue.remove(0) is None
    assert (queue.num_tokens, len(queue), 0 in queue, 1 in queue) == (4, 1, False, True)


def test_a_later_round_has_room_always_and_the_turn_of_the_first() -> None:
    queue = WaitingQueue(8, 5.0)
    queue.push(segment(0, submitted_at=2.0))
    queue.push(segment(1, submitted_at=3.0))
    later = segment(2, submitted_at=4.0, accepted_at=1.0)
    assert queue.has_room(later)
    queue.push(later)
    assert queue.num_tokens == 12
    assert drained(queue) == [2, 0, 1]


def test_late_segments_leave_wherever_they_stand() -> None:
    queue = WaitingQueue(100, 5.0)
    for key, deadline in enumerate((None, 5.0, 3.0, 9.0, 4.0)):
        queue.push(segment(key, deadline=deadline))
    queue.remove(4)
    assert [s.key for s in queue.remove_late(5.0)] == [2, 1]
    assert queue.remove_late(5.0) == []
    assert drained(queue) == [0, 3]


def test_clearing_takes_all_out_once() -> None:
    queue = WaitingQueue(100, 5.0)
    for key in range(3):
        queue.push(segment(key))
    assert [s.key for s in queue.clear()] == [0, 1, 2]
    assert (len(queue), queue.num_tokens, queue.head()) == (0, 0, None)


def test_what_has_left_is_forgotten_long_before_its_deadline() -> None:
    queue = WaitingQueue(100, 5.0)
    for key in range(1_000):
        queue.push(segment(key, deadline=1e6 if key % 2 else None, priority=-10))
        if key >= 3:
            queue.remove(key)
    queue.push(segment(1_000, deadline=2e6, priority=10))
    assert max(len(queue._by_turn), len(queue._by_deadline)) <= 2 * len(queue) + SPARE_ENTRIES + 1
    assert [s.key for s in queue.remove_late(1e6)] == [1]
    assert drained(queue) == [1_000, 0, 2]


@pytest.mark.parametrize("priority", [-11, 11])
def test_a_priority_out_of_bounds_is_refused(priority: int) -> None:
    with pytest.raises(ValueError, match=r"-10\.\.10"):
        request(priority=priority)


def test_a_request_without_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 token"):
        request(())
