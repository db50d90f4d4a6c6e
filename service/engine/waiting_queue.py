"""Segments that were accepted and do not run yet: bounded, ordered, each to be taken out once.

Knows: arrival, priority, deadlines, source tokens. Must not know: rows, memory, tensors, events.

Order: by arrival time less `priority` times `priority_step_seconds`, then by arrival. So a priority is worth
a fixed time of waiting: nobody who comes more than (10 - p) such steps after a segment of priority p can be
served before it. A later round of a segment counts as arrived when the first did.
"""

from __future__ import annotations

import heapq

from service.engine.request import Segment

SPARE_ENTRIES = 64  # of segments that have left, in each heap, before it is made anew


class WaitingQueue:
    """At most `max_tokens` source tokens wait, and later rounds besides. Everything is O(log n) or better,
    amortised."""

    def __init__(self, max_tokens: int, priority_step_seconds: float) -> None:
        self.max_tokens, self._step_seconds = max_tokens, priority_step_seconds
        self._segments: dict[int, Segment] = {}
        # Entries of segments that have left stay in the heaps until they come up, or are too many.
        self._by_turn: list[tuple[float, int]] = []
        self._by_deadline: list[tuple[float, int]] = []
        self.num_tokens = 0

    def __len__(self) -> int:
        return len(self._segments)

    def __contains__(self, key: int) -> bool:
        return key in self._segments

    def has_room(self, segment: Segment) -> bool:
        return segment.is_later_round or self.num_tokens + segment.num_source_tokens <= self.max_tokens

    def push(self, segment: Segment) -> None:
        """The caller has asked `has_room`."""
        request = segment.request
        turn = segment.turn_at - request.priority * self._step_seconds
        heapq.heappush(self._by_turn, (turn, segment.key))
        if request.deadline is not None:
            heapq.heappush(self._by_deadline, (request.deadline, segment.key))
        self._segments[segment.key] = segment
        self.num_tokens += segment.num_source_tokens
        self._forget_the_gone()

    def _forget_the_gone(self) -> None:
        """Who was served long before its deadline would else be remembered until then."""
        for heap in (self._by_turn, self._by_deadline):
            if len(heap) > 2 * len(self._segments) + SPARE_ENTRIES:
                heap[:] = [entry for entry in heap if entry[1] in self._segments]
                heapq.heapify(heap)

    def head(self) -> Segment | None:
        """The segment whose turn it is."""
        while self._by_turn and self._by_turn[0][1] not in self._segments:
            heapq.heappop(self._by_turn)
        return self._segments[self._by_turn[0][1]] if self._by_turn else None

    def remove(self, key: int) -> Segment | None:
        """Take a segment out, wherever it stands."""
        segment = self._segments.pop(key, None)
        if segment is not None:
            self.num_tokens -= segment.num_source_tokens
        return segment

    def remove_late(self, now: float) -> list[Segment]:
        """Take out every segment whose deadline has passed."""
        late = []
        while self._by_deadline and self._by_deadline[0][0] <= now:
            segment = self.remove(heapq.heappop(self._by_deadline)[1])
            if segment is not None:
                late.append(segment)
        return late

    def clear(self) -> list[Segment]:
        """Take all out, in order of arrival."""
        segments = list(self._segments.values())
        for segment in segments:
            self.remove(segment.key)
        return segments
