"""Between readers and a child that may die: accepts, tells the child, hands on what it reports.

Knows: the ledger, mailboxes, the pipe's messages, the observer. Must not know: asyncio, processes, when to
restart. Asked by event loops (first half) and by the supervisor's thread (second half); `_lock` guards what
both touch, and is never held while anybody waits.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future

from service.engine.config import EngineConfig, EngineSnapshot
from service.engine.errors import (
    EngineDraining,
    EngineError,
    EngineUnavailable,
    SegmentCancelled,
    StreamBroken,
)
from service.engine.event_stream import Mailbox, post
from service.engine.ledger import Ledger
from service.engine.model_limits import checked_max_length
from service.engine.observer import EngineObserver, GuardedObserver
from service.engine.outbox import Outbox
from service.engine.request import Emission, FailedEvent, FinishedEvent, Segment, SegmentRequest
from service.engine.speed import Speedometer
from service.engine.wire import Cancel, Ready, Stepped, Submit

LOADING_SECONDS = 5.0  # to try again in, before anything is known


class Dispatch:
    """An `Owner` of a supervisor. `ready` holds the first child's answer, or why it did not start."""

    def __init__(self, config: EngineConfig, observer: EngineObserver) -> None:
        self._config, self._observer = config, GuardedObserver(observer)
        self._lock = threading.Lock()
        self.ready: Future[Ready] = Future()
        self._ledger = Ledger(config, 1)  # until it is known what a position takes
        self._mailboxes: dict[int, Mailbox] = {}  # by key
        self._outbox: Outbox | None = None  # of the present child, once it has started
        self._drained: list[Future[None]] = []
        self._is_draining = self._is_stopped = False
        self._retry_after_seconds: float | None = LOADING_SECONDS  # None: work is taken
        self._tokens_per_second = Speedometer().tokens_per_second
        self._last_heard = time.monotonic()
        self._path = "eager"  # of the present child's network
        self._process_id: int | None = None  # of the present child, once it has started

    # Asked by event loops.

    def submit(self, request: SegmentRequest, mailbox: Mailbox) -> int:
        """The key of the accepted segment. Raises as `EngineHandle.submit`, `EngineUnavailable` besides."""
        try:
            with self._lock:
                return self._accept(request, mailbox)
        except EngineError as error:
            self._observer.rejected(error.reason)
            raise

    def _accept(self, request: SegmentRequest, mailbox: Mailbox) -> int:
        if self._is_draining or self._is_stopped:
            raise EngineDraining
        if self._retry_after_seconds is not None:
            raise EngineUnavailable(self._retry_after_seconds)
        max_length = checked_max_length(request, self.ready.result().config)
        now = time.monotonic()
        segment = self._ledger.accept(request, max_length, now, self._backlog_seconds())
        if len(self._ledger) == 1:
            self._last_heard = now
        self._mailboxes[segment.key] = mailbox
        self._tell()
        return segment.key

    def cancel_id(self, segment_id: str) -> None:
        """End the segment that has this id. Idempotent; an unknown id is ignored."""
        with self._lock:
            key = self._ledger.key_of(segment_id)
        if key is not None:
            self.cancel(key)

    def cancel(self, key: int) -> None:
        """As `cancel_id`, by what is never used again as an id may be."""
        with self._lock:
            if self._ledger.cancel(key) and self._outbox is not None:
                self._outbox.put(Cancel(key))
            ended = self._ledger.expire(time.monotonic())
        self._end_here(ended)

    def drain(self) -> Future[None]:
        """Refuse new segments; done once all that were accepted have ended."""
        drained: Future[None] = Future()
        with self._lock:
            self._is_draining = True
            self._drained.append(drained)
        self._deliver([])
        return drained

    def snapshot(self) -> EngineSnapshot:
        """Known without asking the child. Its heartbeat is infinitely old once all has been stopped."""
        with self._lock:
            ledger, running = self._ledger, self._ledger.running
            return EngineSnapshot(
                queue_segments=ledger.queue_segments,
                queue_tokens=ledger.queue_tokens,
                max_queue_tokens=self._config.max_queue_tokens,
                running_segments=len(running),
                running_rows=running.rows,
                max_rows=running.max_rows,
                cache_bytes_used=running.bytes_used,
                cache_bytes_limit=running.bytes_limit,
                tokens_per_second=self._tokens_per_second,
                backlog_seconds=self._backlog_seconds(),
                heartbeat_seconds=self._heartbeat_seconds(),
                draining=self._is_draining,
                is_available=self._retry_after_seconds is None and not self._is_stopped,
                path=self._path,
                process_id=self._process_id,
            )

    def _backlog_seconds(self) -> float:
        return self._ledger.queue_tokens / max(self._tokens_per_second, 1e-3)

    def _heartbeat_seconds(self) -> float:
        if self._is_stopped:
            return math.inf
        return time.monotonic() - self._last_heard if self._ledger else 0.0

    # Told by the supervisor, on its thread (see `Owner`).

    def has_work(self) -> bool:
        with self._lock:
            return bool(self._ledger)

    def silent_seconds(self) -> float:
        with self._lock:
            return self._heartbeat_seconds() if self._ledger.num_told else 0.0

    def starting(self, is_first: bool) -> None:
        if not is_first:
            self._observer.restarted()

    def started(self, ready: Ready, outbox: Outbox) -> None:
        with self._lock:
            if not self.ready.done():
                self._ledger = Ledger(self._config, ready.bytes_per_position)
                self.ready.set_result(ready)
            self._outbox, self._retry_after_seconds = outbox, None
            self._path, self._process_id = ready.path, ready.process_id
            self._last_heard = time.monotonic()
            self._tell()

    def changed(self, path: str) -> None:
        with self._lock:
            self._path = path

    def heard(self, report: Stepped) -> bool:
        for fact in report.facts:
            getattr(self._observer, fact.name)(*fact.arguments)
        with self._lock:
            self._last_heard = time.monotonic()
            self._tokens_per_second = report.tokens_per_second
            emissions = [told for key, event in report.events if (told := self._ledger.take(key, event))]
            if report.joining:
                self._ledger.joined(report.joining, self._last_heard)
            self._tell()
        self._forget_broken(emissions)
        self._deliver(emissions)
        return any(isinstance(event, FinishedEvent) for _, event in report.events)

    def died(self) -> bool:
        with self._lock:
            self._outbox = self._process_id = None
            was_running = len(self._ledger.running) > 0
            ended = [*self._ledger.died(), *self._ledger.expire(time.monotonic())]
        self._end_here(ended)
        return was_running

    def despaired(self, retry_after_seconds: float) -> None:
        error = EngineUnavailable(max(1.0, retry_after_seconds))
        with self._lock:
            self._retry_after_seconds = error.retry_after_seconds
            ended = self._ledger.clear(error)
        self._end_here(ended)

    def ticked(self) -> None:
        with self._lock:
            ended = self._ledger.expire(time.monotonic())
        self._end_here(ended)

    def stopped(self, failure: Exception | None) -> None:
        with self._lock:
            self._is_stopped, self._outbox, self._process_id = True, None, None
            ended = self._ledger.clear(EngineDraining())
        self._end_here(ended)
        if not self.ready.done():
            self.ready.set_exception(failure or EngineDraining())

    # Used by both.

    def _tell(self) -> None:
        """Give the child what it may have now. Under the lock."""
        if self._outbox is not None and (segments := self._ledger.take_untold()):
            self._outbox.put(*map(_submission, segments))

    def _end_here(self, emissions: Sequence[Emission]) -> None:
        """Segments that end without the child: nobody else tells the observer."""
        for emission in emissions:
            assert isinstance(emission.event, FailedEvent)
            if isinstance(emission.event.error, SegmentCancelled):
                self._observer.cancelled("queued")
            else:
                self._observer.failed(emission.event.error.reason)
        self._deliver(emissions)

    def _forget_broken(self, emissions: Sequence[Emission]) -> None:
        """Streams that have just ended here go on in the child until it is told."""
        for emission in emissions:
            event = emission.event
            if isinstance(event, FailedEvent) and isinstance(event.error, StreamBroken):
                self._observer.failed(event.error.reason)
                if self._outbox is not None:
                    self._outbox.put(Cancel(emission.segment.key))

    def _deliver(self, emissions: Sequence[Emission]) -> None:
        with self._lock:
            mail = [(self._mailboxes[emission.segment.key], emission.event) for emission in emissions]
            for emission in emissions:
                if emission.is_last:
                    del self._mailboxes[emission.segment.key]
            drained: list[Future[None]] = []
            if not self._mailboxes:
                drained, self._drained = self._drained, drained
        post(mail)
        for one in drained:
            if one.set_running_or_notify_cancel():
                one.set_result(None)


def _submission(segment: Segment) -> Submit:
    return Submit(segment.key, segment.request, segment.submitted_at)
