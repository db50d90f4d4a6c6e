"""Identical segments in flight share one computation; who asked for one can tell by nothing but the time.

    consumers     a   b   c     each with an id, a deadline and an end of its own
                   \\  |  /
    computation       1         one segment of the engine, without a deadline; cancelled once all have gone

Who comes later hears first what has been told so far. Nobody joins a computation that could be slower than
one of its own: that of a lower priority or a later turn, or one that tells less. Sampling without a seed is
never shared. Knows: an engine's door, asyncio. Must not know: what a computation is. Used from the event loop
only, `close` excepted.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Hashable
from contextlib import aclosing
from dataclasses import dataclass, field, fields, replace

from service.engine.config import EngineSnapshot
from service.engine.errors import DeadlineExceeded, EngineDraining, SegmentCancelled, StepFailed
from service.engine.event_stream import EventStream, Mailbox
from service.engine.handle import EngineHandle, SegmentEvents
from service.engine.request import (
    DraftEvent,
    Event,
    FailedEvent,
    FinishedEvent,
    SegmentRequest,
    SegmentTimings,
    TokensEvent,
)

logger = logging.getLogger(__name__)

# What two requests may differ in and still be answered by one computation.
_OWN = frozenset({"segment_id", "stream", "draft", "priority", "deadline", "accepted_at"})
_SHARED = tuple(one.name for one in fields(SegmentRequest) if one.name not in _OWN)


@dataclass(slots=True, eq=False)
class _Computation:
    """A segment of the engine, as `request` says, and all that it has told so far."""

    request: SegmentRequest
    started_at: float
    consumers: dict[str, _Consumer] = field(default_factory=dict)  # by their own ids, in order of arrival
    token_ids: tuple[int, ...] = ()
    draft: DraftEvent | None = None

    def serves(self, request: SegmentRequest) -> bool:
        """Whether the request would be told all that it wants, and be served no later than alone."""
        wanted, told = (request.stream, request.draft), (self.request.stream, self.request.draft)
        is_no_later = _turn_at(self.request) <= _turn_at(request)
        return request.priority <= self.request.priority and is_no_later and wanted in ((False, False), told)

    def remember(self, event: TokensEvent | DraftEvent) -> None:
        if isinstance(event, TokensEvent):
            self.token_ids += event.token_ids
        else:
            self.draft = event

    def told_so_far(self) -> list[Event]:
        tokens: list[Event] = [TokensEvent(self.token_ids)] if self.token_ids else []
        return tokens if self.draft is None else [*tokens, self.draft]


@dataclass(slots=True, eq=False)
class _Consumer:
    """Whoever submitted a request, until it has had its last event or has gone."""

    request: SegmentRequest
    computation: _Computation
    mailbox: Mailbox
    submitted_at: float
    timer: asyncio.TimerHandle | None = None

    @property
    def wants_progress(self) -> bool:
        return self.request.stream or self.request.draft

    def as_own(self, event: Event) -> Event:
        """The computation's event, its times counted from this consumer's own submission."""
        if not isinstance(event, FinishedEvent):
            return event
        later = self.submitted_at - self.computation.started_at
        times = event.timings.queue_seconds, event.timings.first_token_seconds, event.timings.total_seconds
        return replace(event, timings=SegmentTimings(*(max(0.0, seconds - later) for seconds in times)))


class CoalescingEngine:
    """An `EngineHandle` around another one. `on_join` is called for each segment that joins a computation."""

    def __init__(self, engine: EngineHandle, on_join: Callable[[], None] = lambda: None) -> None:
        self._engine, self._on_join = engine, on_join
        self._consumers: dict[str, _Consumer] = {}
        self._shared: dict[Hashable, list[_Computation]] = {}  # that may be joined
        self._readers: set[asyncio.Task[None]] = set()
        self._num_computations = 0
        self._is_draining = False

    def submit(self, request: SegmentRequest) -> EventStream:
        """See `EngineHandle.submit`."""
        if self._is_draining:
            raise EngineDraining
        if request.segment_id in self._consumers:
            raise ValueError(f"segment_id {request.segment_id!r} is in use")
        computation = self._find(request)
        if computation is None:
            return self._attach(request, self._start(request))
        self._on_join()
        return self._attach(request, computation)

    def cancel(self, segment_id: str) -> None:
        """See `EngineHandle.cancel`. Others that share the computation go on."""
        if (consumer := self._consumers.get(segment_id)) is not None:
            self._give_up(consumer, FailedEvent(SegmentCancelled()))

    async def drain(self) -> None:
        """See `EngineHandle.drain`."""
        self._is_draining = True
        await self._engine.drain()
        if self._readers:
            await asyncio.wait(self._readers)

    def close(self) -> None:
        """See `EngineHandle.close`."""
        self._is_draining = True
        self._engine.close()

    def snapshot(self) -> EngineSnapshot:
        """See `EngineHandle.snapshot`: what is shared counts once."""
        return self._engine.snapshot()

    def _find(self, request: SegmentRequest) -> _Computation | None:
        candidates = self._shared.get(_key(request), ())
        return next((one for one in candidates if one.serves(request)), None)

    def _start(self, request: SegmentRequest) -> _Computation:
        # An id of its own: it may go on after the one who began it has left, and used its id again.
        name = f"{request.segment_id}#{self._num_computations}"
        # Who waits for it may change, so deadlines are kept here, and those of all who have gone are void.
        asked = replace(request, segment_id=name, deadline=None)
        events = self._engine.submit(asked)
        self._num_computations += 1
        computation = _Computation(asked, asyncio.get_running_loop().time())
        if _is_repeatable(request):
            self._shared.setdefault(_key(asked), []).append(computation)
        reader = asyncio.get_running_loop().create_task(self._read(computation, events))
        self._readers.add(reader)
        reader.add_done_callback(self._readers.discard)
        return computation

    def _attach(self, request: SegmentRequest, computation: _Computation) -> EventStream:
        mailbox = Mailbox()
        consumer = _Consumer(request, computation, mailbox, mailbox.loop.time())
        self._consumers[request.segment_id] = computation.consumers[request.segment_id] = consumer
        if request.deadline is not None:
            late = FailedEvent(DeadlineExceeded("in flight"))
            consumer.timer = mailbox.loop.call_at(request.deadline, self._give_up, consumer, late)
        if consumer.wants_progress:
            for event in computation.told_so_far():
                mailbox.put(event)
        return EventStream(mailbox, lambda: self._give_up(consumer, None))

    async def _read(self, computation: _Computation, events: SegmentEvents) -> None:
        """Hand on what the engine tells, to everybody who waits for it at that moment."""
        try:
            async with aclosing(events):
                async for event in events:
                    self._tell(computation, event)
        except Exception:
            logger.exception("reading the engine's events failed")
        finally:
            # Nobody is left here unless the engine broke its promise of a last event.
            self._tell(computation, FailedEvent(StepFailed("the engine's events broke off")))

    def _tell(self, computation: _Computation, event: Event) -> None:
        if isinstance(event, TokensEvent | DraftEvent):
            computation.remember(event)
            for consumer in computation.consumers.values():
                if consumer.wants_progress:
                    consumer.mailbox.put(event)
            return
        self._unshare(computation)
        for consumer in list(computation.consumers.values()):
            self._detach(consumer)
            consumer.mailbox.put(consumer.as_own(event))

    def _give_up(self, consumer: _Consumer, last: FailedEvent | None) -> None:
        """A consumer's own end, after which the others go on; without others the computation ends."""
        computation = consumer.computation
        if self._consumers.get(consumer.request.segment_id) is not consumer:
            return
        self._detach(consumer)
        if last is not None:
            consumer.mailbox.put(last)
        if not computation.consumers:
            self._unshare(computation)
            self._engine.cancel(computation.request.segment_id)

    def _detach(self, consumer: _Consumer) -> None:
        name = consumer.request.segment_id
        del self._consumers[name], consumer.computation.consumers[name]
        if consumer.timer is not None:
            consumer.timer.cancel()

    def _unshare(self, computation: _Computation) -> None:
        """Nobody joins any more. Idempotent."""
        key = _key(computation.request)
        left = [one for one in self._shared.pop(key, []) if one is not computation]
        if left:
            self._shared[key] = left


def _key(request: SegmentRequest) -> Hashable:
    """All that the answer depends on."""
    return tuple(getattr(request, name) for name in _SHARED)


def _turn_at(request: SegmentRequest) -> float:
    """Since when it has its place; of a first round: since it came, which was behind all that is there."""
    return math.inf if request.accepted_at is None else request.accepted_at


def _is_repeatable(request: SegmentRequest) -> bool:
    """Whether asking twice gives the same answer."""
    return request.options.strategy != "sample" or request.options.seed is not None
