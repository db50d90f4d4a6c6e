"""The door to an engine that runs in a thread of this process.

Knows: asyncio, one thread, the engine. Must not know: HTTP, text, how a step works.

    event loop                          engine thread
    submit, cancel ----- lock ------->  scheduler
    EventStream    <- one wake-up per   step, step, step ...
                      step and loop     (asleep on a condition while there is nothing to do)
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace

import torch

from model.devices import set_up
from model.network import Network
from service.engine.allocator import keep_freed_memory
from service.engine.config import EngineConfig, EngineSnapshot
from service.engine.engine import Engine
from service.engine.errors import EngineDraining, StepFailed
from service.engine.event_stream import EventStream, Mailbox, post
from service.engine.lost_device import lost_with
from service.engine.observer import EngineObserver
from service.engine.request import Emission, SegmentRequest
from service.engine.runner import Runner
from service.engine.upgrade import LOOK_SECONDS, Upgrade

logger = logging.getLogger(__name__)


class ThreadEngine:
    """An `EngineHandle` whose engine runs in a thread of this process, started at once.

    `bytes_per_position` as `Runner` takes it. `make_faster` makes a network to change over to.
    """

    def __init__(
        self,
        network: Network,
        config: EngineConfig,
        observer: EngineObserver | None = None,
        *,
        bytes_per_position: int | None = None,
        make_faster: Callable[[], Network] | None = None,
    ) -> None:
        self._engine = Engine(Runner(network, bytes_per_position), config, observer)
        self._upgrade = None if make_faster is None else Upgrade(make_faster)
        self._num_threads = config.num_threads
        self._wake = threading.Condition()
        self._mailboxes: dict[int, Mailbox] = {}  # by segment key; under _wake
        self._drained: list[Future[None]] = []  # under _wake
        self._closing = self._stopped = False
        self._device = network.device
        self._thread = threading.Thread(target=self._run, name="verto-engine", daemon=True)
        self._thread.start()

    # The event loop's side.

    def submit(self, request: SegmentRequest) -> EventStream:
        """See `EngineHandle.submit`. To be called on the event loop that will read the events."""
        mailbox = Mailbox()
        with self._wake:
            if self._closing or self._stopped:
                raise EngineDraining
            segment = self._engine.submit(request)
            self._mailboxes[segment.key] = mailbox
            self._wake.notify()
        return EventStream(mailbox, lambda: self._cancel_key(segment.key))

    def cancel(self, segment_id: str) -> None:
        """See `EngineHandle.cancel`."""
        self._engine.cancel(segment_id)
        with self._wake:
            self._wake.notify()

    def _cancel_key(self, key: int) -> None:
        """Cancel what one stream was reading, and nothing that has taken over its id since."""
        self._engine.cancel_key(key)
        with self._wake:
            self._wake.notify()

    async def drain(self) -> None:
        """See `EngineHandle.drain`."""
        self._engine.start_draining()
        drained: Future[None] = Future()
        with self._wake:
            if self._stopped:
                return
            self._drained.append(drained)
            self._wake.notify()
        await asyncio.wrap_future(drained)

    def close(self) -> None:
        """See `EngineHandle.close`."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()

    def snapshot(self) -> EngineSnapshot:
        """See `EngineHandle.snapshot`. The heartbeat of a thread that has ended is infinitely old."""
        snapshot = self._engine.snapshot()
        return replace(snapshot, heartbeat_seconds=math.inf) if self._stopped else snapshot

    # The engine thread's side.

    def _run(self) -> None:
        torch.set_num_threads(self._num_threads)
        set_up(self._device)
        keep_freed_memory()
        try:
            with torch.inference_mode():
                while self._wait_for_work():
                    self._change_over()
                    emissions = self._turn()
                    self._deliver(emissions)
                    if lost_with(emissions, self._device):
                        break
                with self._wake:
                    self._closing = True  # of itself, where the device is lost: who comes now is not answered
                self._deliver(self._engine.fail_all(EngineDraining()))
        finally:
            with self._wake:
                self._stopped = True
            self._tell_drained()

    def _wait_for_work(self) -> bool:
        """Sleep until there is something to do. False: it is time to stop."""
        with self._wake:
            while self._engine.is_idle and not self._closing:
                self._tell_drained()
                self._wake.wait(None if self._upgrade is None else LOOK_SECONDS)
                self._change_over()
            return not self._closing

    def _change_over(self) -> None:
        """To the faster network as soon as there is one; what runs goes on where it is."""
        if self._upgrade is None:
            return
        is_over = not self._upgrade.is_pending
        if (network := self._upgrade.take()) is not None:
            logger.info(
                "changing over: what joins now is decoded by another network", extra={"path": network.path}
            )
            self._engine.change_over(Runner(network))
        if is_over:
            self._upgrade = None

    def _turn(self) -> list[Emission]:
        try:
            return self._engine.step()
        except Exception as cause:
            # Steps handle the device's failures themselves, so this is a defect; nobody may wait for ever.
            logger.exception("the engine's loop failed")
            error = StepFailed("the engine failed")
            error.__cause__ = cause
            return self._engine.fail_all(error)

    def _deliver(self, emissions: Sequence[Emission]) -> None:
        with self._wake:
            mail = [(self._mailboxes[emission.segment.key], emission.event) for emission in emissions]
            for emission in emissions:
                if emission.is_last:
                    del self._mailboxes[emission.segment.key]
        post(mail)

    def _tell_drained(self) -> None:
        with self._wake:
            waiting, self._drained = self._drained, []
        for drained in waiting:
            if drained.set_running_or_notify_cancel():
                drained.set_result(None)
