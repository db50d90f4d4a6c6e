"""An engine behind the real door's protocol that tells its next event when the test says so.

What a segment tells depends on nothing but its request, as with the real one.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

from model.decoding import Hypothesis
from service.engine.config import EngineSnapshot
from service.engine.errors import EngineDraining, EngineError, SegmentCancelled
from service.engine.event_stream import EventStream, Mailbox
from service.engine.request import (
    DraftEvent,
    Event,
    FailedEvent,
    FinishedEvent,
    SegmentRequest,
    SegmentTimings,
    TokensEvent,
)


def answer(request: SegmentRequest) -> tuple[int, ...]:
    """The tokens of a request's translation: of its source and options, and of nothing else."""
    rng = random.Random(repr((request.source_ids, request.options)))
    return tuple(rng.choices(range(4, 1000), k=rng.randint(1, 7)))


def script(request: SegmentRequest) -> list[Event]:
    """All that the engine tells of a request, its end excepted."""
    tokens = answer(request)
    if request.draft:
        return [DraftEvent((*tokens[:position], 1)) for position in range(len(tokens))]
    if request.stream:
        return [TokensEvent(tokens[start : start + 2]) for start in range(0, len(tokens), 2)]
    return []


@dataclass(eq=False)
class Running:
    """A segment that was accepted and has not ended."""

    request: SegmentRequest
    mailbox: Mailbox
    submitted_at: float
    left: list[Event]


@dataclass
class ScriptedEngine:
    """`next_event`, `finish` and `fail` are the test's; the rest is the door."""

    refuse: EngineError | None = None
    running: dict[str, Running] = field(default_factory=dict)
    submitted: list[SegmentRequest] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    is_closed: bool = False

    def submit(self, request: SegmentRequest) -> EventStream:
        if self.refuse is not None:
            raise self.refuse
        assert request.segment_id not in self.running
        mailbox = Mailbox()
        running = Running(request, mailbox, mailbox.loop.time(), script(request))
        self.running[request.segment_id] = running
        self.submitted.append(request)
        return EventStream(mailbox, lambda: self.cancel(request.segment_id))

    def cancel(self, segment_id: str) -> None:
        if segment_id in self.running:
            self.cancelled.append(segment_id)
            self._end(segment_id, FailedEvent(SegmentCancelled()))

    def next_event(self, segment_id: str) -> None:
        """The segment's next tokens, or its end."""
        running = self.running[segment_id]
        if running.left:
            running.mailbox.put(running.left.pop(0))
        else:
            self.finish(segment_id)

    def finish(self, segment_id: str) -> None:
        running = self.running[segment_id]
        for event in running.left:
            running.mailbox.put(event)
        tokens = answer(running.request)
        hypothesis = Hypothesis(tokens, (-0.5,) * len(tokens), -1.0, "stop")
        total = running.mailbox.loop.time() - running.submitted_at
        timings = SegmentTimings(total / 4, total / 2, total)
        self._end(segment_id, FinishedEvent((hypothesis,), timings))

    def fail(self, segment_id: str, error: EngineError) -> None:
        self._end(segment_id, FailedEvent(error))

    def _end(self, segment_id: str, event: Event) -> None:
        self.running.pop(segment_id).mailbox.put(event)

    async def drain(self) -> None:
        self.refuse = EngineDraining()
        while self.running:  # noqa: ASYNC110 - the test ends them
            await asyncio.sleep(1.0)

    def close(self) -> None:
        self.is_closed = True
        for segment_id in list(self.running):
            self.fail(segment_id, EngineDraining())

    def snapshot(self) -> EngineSnapshot:
        return EngineSnapshot(
            queue_segments=len(self.running),
            queue_tokens=0,
            max_queue_tokens=1,
            running_segments=0,
            running_rows=0,
            max_rows=1,
            cache_bytes_used=0,
            cache_bytes_limit=1,
            tokens_per_second=1.0,
            backlog_seconds=0.0,
            heartbeat_seconds=0.0,
            draining=False,
        )
