"""What the scheduler must do, said as plainly as possible: lists, sorted and counted anew each time.

Knows: the rules that the docstrings of scheduler.py and waiting_queue.py state. Must not know: their code.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from service.engine.config import EngineConfig
from service.engine.request import Segment, Stage

Left = tuple[int, Stage, Literal["SegmentCancelled", "DeadlineExceeded"]]


@dataclass
class NaiveScheduler:
    """Answers in keys what a `Scheduler` with this configuration has to answer."""

    config: EngineConfig
    bytes_per_position: int
    waiting: list[Segment] = field(default_factory=list)
    running: list[Segment] = field(default_factory=list)
    cancelled: set[int] = field(default_factory=set)  # of those that run
    left: list[Left] = field(default_factory=list)  # since the last plan

    def refusal(self, one: Segment) -> str | None:
        """The error that submitting would raise."""
        tokens = one.num_source_tokens
        if not self.is_within([one]) or tokens > self.config.max_queue_tokens:
            return "SegmentTooLarge"
        return "EngineOverloaded" if self.queue_tokens + tokens > self.config.max_queue_tokens else None

    def cancel(self, key: int) -> None:
        if any(one.key == key for one in self.waiting):
            self.waiting = [one for one in self.waiting if one.key != key]
            self.left.append((key, "queued", "SegmentCancelled"))
        elif any(one.key == key for one in self.running):
            self.cancelled.add(key)

    def plan(self, now: float) -> tuple[list[Left], list[int]]:
        """Who leaves (sorted), who joins (in turn)."""
        left = self.left
        left += [(one.key, "queued", "DeadlineExceeded") for one in self.waiting if one.is_late(now)]
        left += [(key, "running", "SegmentCancelled") for key in self.cancelled]
        late = [one.key for one in self.running if one.is_late(now) and one.key not in self.cancelled]
        left += [(key, "running", "DeadlineExceeded") for key in late]
        self.waiting = [one for one in self.waiting if not one.is_late(now)]
        self.end([*self.cancelled, *late])
        self.left = []
        return sorted(left), self._join()

    def _join(self) -> list[int]:
        joining: list[Segment] = []
        for head in sorted(self.waiting, key=self._turn):
            tokens = sum(one.num_source_tokens for one in [*joining, head])
            if not self.is_within([*self.running, head]):
                break
            if joining and tokens > self.config.max_encode_tokens:
                break
            joining.append(head)
            self.running.append(head)
        self.waiting = [one for one in self.waiting if one not in joining]
        return [one.key for one in joining]

    def end(self, keys: Iterable[int]) -> None:
        gone = set(keys)
        self.running = [one for one in self.running if one.key not in gone]
        self.cancelled -= gone

    def _turn(self, one: Segment) -> tuple[float, int]:
        return one.submitted_at - self.config.priority_step_seconds * one.request.priority, one.key

    @property
    def queue_tokens(self) -> int:
        return sum(one.num_source_tokens for one in self.waiting)

    @property
    def rows(self) -> int:
        return sum(one.rows for one in self.running)

    def bytes_of(self, segments: list[Segment]) -> int:
        target = sum(one.rows for one in segments) * max(
            (one.num_target_positions for one in segments), default=0
        )
        source = len(segments) * max((one.num_source_positions for one in segments), default=0)
        return self.bytes_per_position * (target + source)

    def is_within(self, segments: list[Segment]) -> bool:
        rows = sum(one.rows for one in segments)
        return rows <= self.config.max_rows and self.bytes_of(segments) <= self.config.cache_bytes_limit
