"""Who joins the running batch and who leaves it before the next step. Counts only; holds no tensors.

Knows: the waiting queue, the running batch and their limits. Must not know: the network, strategies, threads.

The head of the queue joins as soon as it fits, and nobody overtakes a head that does not fit yet. So waiting
is bounded: a segment with n segments ahead of it (waiting_queue.py bounds who may still come in ahead) joins
after at most (n + 1) x M steps, M being the longest length limit of any segment. For while the head is
blocked nothing joins, so all that runs has ended after M steps, and the head fits alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from service.engine.config import EngineConfig
from service.engine.errors import (
    DeadlineExceeded,
    EngineError,
    EngineOverloaded,
    SegmentCancelled,
    SegmentTooLarge,
)
from service.engine.request import Segment, Stage
from service.engine.running_batch import RunningBatch
from service.engine.waiting_queue import WaitingQueue


@dataclass(frozen=True, slots=True)
class Leaving:
    """A segment that ends without an answer; `stage` says where it was."""

    segment: Segment
    error: EngineError
    stage: Stage


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens before the next step: first `leaving` segments free their rows, then `joining` ones start.

    Whoever leaves has given back its reservation, whoever joins has one.
    """

    leaving: tuple[Leaving, ...]
    joining: tuple[Segment, ...]


class Scheduler:
    """Accepted segments, from the queue to the end. Every one leaves once: in a plan, or by `release`."""

    def __init__(self, config: EngineConfig, bytes_per_position: int) -> None:
        self.waiting = WaitingQueue(config.max_queue_tokens, config.priority_step_seconds)
        self.running = RunningBatch(config.max_rows, config.cache_bytes_limit, bytes_per_position)
        self._max_queue_tokens = config.max_queue_tokens
        self._max_encode_tokens = config.max_encode_tokens
        self._left_queue: list[Leaving] = []  # cancelled while waiting, since the last plan

    @property
    def is_idle(self) -> bool:
        return not (self.waiting or self.running or self._left_queue)

    def submit(self, segment: Segment, retry_after_seconds: float) -> None:
        """Raises `EngineOverloaded`, or `SegmentTooLarge` for what could never run."""
        self.running.check_possible(segment)
        if segment.num_source_tokens > self._max_queue_tokens:
            raise SegmentTooLarge("source_tokens", self._max_queue_tokens, segment.num_source_tokens)
        if not self.waiting.has_room(segment):
            raise EngineOverloaded(retry_after_seconds)
        self.waiting.push(segment)

    def cancel(self, key: int) -> None:
        """The segment leaves with the next plan. Unknown keys, and a second time, change nothing."""
        segment = self.waiting.remove(key)
        if segment is not None:
            self._left_queue.append(Leaving(segment, SegmentCancelled(), "queued"))
        elif (running := self.running.get(key)) is not None:
            running.is_cancelled = True  # its rows may be in use until the next plan

    def plan(self, now: float, *, may_join: bool = True) -> Plan:
        """Sweep out the cancelled and the late, then let in whose turn it is and what fits, if any may
        join."""
        late = [Leaving(s, DeadlineExceeded("queued"), "queued") for s in self.waiting.remove_late(now)]
        leaving = (*self._left_queue, *late, *self._sweep_running(now))
        self._left_queue = []
        return Plan(leaving, tuple(self._admit()) if may_join else ())

    def _sweep_running(self, now: float) -> list[Leaving]:
        cancelled = [s for s in self.running.segments if s.is_cancelled]
        late = [s for s in self.running.segments if s.is_late(now) and not s.is_cancelled]
        self.release(segment.key for segment in (*cancelled, *late))
        return [
            *(Leaving(segment, SegmentCancelled(), "running") for segment in cancelled),
            *(Leaving(segment, DeadlineExceeded("running"), "running") for segment in late),
        ]

    def _admit(self) -> list[Segment]:
        joining: list[Segment] = []
        num_tokens = 0
        while (head := self.waiting.head()) is not None and self.running.fits(head):
            num_tokens += head.num_source_tokens
            if joining and num_tokens > self._max_encode_tokens:
                break
            self.waiting.remove(head.key)
            self.running.join(head)
            joining.append(head)
        return joining

    def release(self, keys: Iterable[int]) -> None:
        """These segments have ended: what was reserved for them is free."""
        for key in keys:
            self.running.leave(key)

    def clear(self) -> list[Segment]:
        """Everything that was accepted and has not left; it has left now."""
        left_queue = [leaving.segment for leaving in self._left_queue]
        segments = [*left_queue, *self.running.segments, *self.waiting.clear()]
        self.release([segment.key for segment in self.running.segments])
        self._left_queue = []
        return segments
