"""The door to an engine in a process of its own, which may die: its readers notice only that it takes longer.

Knows: asyncio, the parts behind the door. Must not know: HTTP, text, what happens behind it.

    event loop                 this process                             child
    submit, cancel ----------> dispatch -> outbox --------------------> engine: step, step, step ...
    EventStream <- one wake-up dispatch <- supervisor <- a report ----- of each step
                   per report  after a death: the next child is told what has not ended, by arrival
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import replace

from model.decoding.options import MAX_SEED
from service.engine.child import Child
from service.engine.config import EngineConfig, EngineSnapshot
from service.engine.dispatch import Dispatch
from service.engine.event_stream import EventStream, Mailbox
from service.engine.observer import EngineObserver, SilentObserver
from service.engine.request import SegmentRequest
from service.engine.supervisor import Supervisor
from service.engine.wire import Ready

STUCK_SECONDS = 30.0


class ProcessEngine:
    """An `EngineHandle` over what `launch` starts, again and again; the first child is started at once.

    `stuck_seconds`: a child that has work and says nothing for so long is killed. No step may take that long.
    """

    def __init__(
        self,
        launch: Callable[[], Child],
        config: EngineConfig,
        observer: EngineObserver | None = None,
        *,
        stuck_seconds: float = STUCK_SECONDS,
    ) -> None:
        self._dispatch = Dispatch(config, observer or SilentObserver())
        self._supervisor = Supervisor(launch, self._dispatch, stuck_seconds)
        self._supervisor.start()

    def wait_until_ready(self) -> Ready:
        """Block until the first child has its model in memory.

        Raises `BundleError` for a bundle that cannot be loaded, `StartError` when there is no process.
        """
        return self._dispatch.ready.result()

    def submit(self, request: SegmentRequest) -> EventStream:
        """See `EngineHandle.submit`; raises `EngineUnavailable` besides, while no child can be started."""
        mailbox = Mailbox()
        key = self._dispatch.submit(_repeatable(request), mailbox)
        return EventStream(mailbox, lambda: self._dispatch.cancel(key))

    def cancel(self, segment_id: str) -> None:
        """See `EngineHandle.cancel`."""
        self._dispatch.cancel_id(segment_id)

    async def drain(self) -> None:
        """See `EngineHandle.drain`."""
        await asyncio.wrap_future(self._dispatch.drain())

    def close(self) -> None:
        """See `EngineHandle.close`. A child that does not end by itself is killed."""
        self._supervisor.close()

    def snapshot(self) -> EngineSnapshot:
        """See `EngineHandle.snapshot`; `is_available` is false while no child can be started."""
        return self._dispatch.snapshot()


def _repeatable(request: SegmentRequest) -> SegmentRequest:
    """Random numbers that a second decoding will draw as well."""
    options = request.options
    if options.strategy != "sample" or options.seed is not None:
        return request
    return replace(request, options=replace(options, seed=secrets.randbelow(MAX_SEED + 1)))
