"""What runs in an engine's process: loads a bundle, and turns an engine by what comes through the pipe.

Knows: the pipe, the engine, how to load a model. Must not know: processes, signals, who is at the other end.

One thread does it all, so nothing is locked and nobody disturbs a step: between two steps it takes what has
arrived; with nothing to do it sleeps on the pipe. Limits of the queue are kept by the parent, which refuses
before anything gets here.
"""

from __future__ import annotations

import gc
import logging
import os
import select
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

import torch

from model.decoding import FinishReason, Selection
from model.devices import DeviceError
from model.manifest import BundleError
from model.network import Network
from service.engine.allocator import keep_freed_memory
from service.engine.config import EngineConfig
from service.engine.engine import Engine
from service.engine.errors import EngineError, StepFailed
from service.engine.lost_device import lost_with
from service.engine.network_plan import PlanError
from service.engine.network_start import StartedNetwork, start_network
from service.engine.observer import Phase
from service.engine.request import (
    Emission,
    Event,
    FailedEvent,
    Segment,
    SegmentRequest,
    SegmentTimings,
    Stage,
)
from service.engine.runner import Runner
from service.engine.upgrade import LOOK_SECONDS, Upgrade
from service.engine.wire import (
    Cancel,
    Changed,
    Command,
    FactName,
    Failed,
    Observed,
    Ready,
    Start,
    Stepped,
    Stop,
    Submit,
    receive,
    send,
)

logger = logging.getLogger(__name__)

NO_LIMIT = 1 << 62
DEVICE_LOST = 70  # the process's exit status: EX_SOFTWARE of sysexits.h
QUIET_SECONDS = 0.05  # a step of which nobody has to hear at once is reported after so long at the latest


def work(connection: Connection) -> None:
    """Load what the first message names, and decode until told to stop or the other side is gone.

    Raises `SystemExit` when the device is lost: what was running is nobody's loss, since the other side asks
    the process that it starts next for it.
    """
    try:
        _load_and_serve(connection)
    except (EOFError, OSError):
        logger.debug("the other side is gone")


def _load_and_serve(connection: Connection) -> None:
    start: Start = receive(connection)
    config = start.config
    keep_freed_memory()
    torch.set_num_threads(config.num_threads)  # loading is to take no more than decoding may
    try:
        started = start_network(
            start.bundle, start.plan, config.num_threads, config.cache_bytes_limit, config.max_rows
        )
    except (BundleError, DeviceError, PlanError, OSError) as error:
        send(connection, Failed(error))
        return
    # What is loaded stays for good: a full search through it would hold up a step for a tenth of a second.
    gc.collect()
    gc.freeze()
    serve_network(connection, started, config)


def serve_network(connection: Connection, started: StartedNetwork, config: EngineConfig) -> None:
    """Say that the network is there, and decode until told to stop. Raises as `Worker.run` does."""
    torch.set_num_threads(config.num_threads)
    network = started.network
    worker = Worker(connection, started, config)
    ready = Ready(
        config=network.config,
        dtype=network.precision,
        device=str(network.device),
        bytes_per_position=started.bytes_per_position,
        manifest_digest=started.manifest_digest,
        path=network.path,
        process_id=os.getpid(),
    )
    send(connection, ready)
    del started, network  # when another one has taken over, nothing is to keep it in memory
    with torch.inference_mode():
        worker.run()


class Worker:
    """Turns one engine. The caller holds `torch.inference_mode`."""

    def __init__(self, connection: Connection, started: StartedNetwork, config: EngineConfig) -> None:
        self._connection = connection
        self._news = select.poll()  # registered once: `connection.poll` would do that for each step
        self._news.register(connection.fileno(), select.POLLIN)
        self._reported_at = time.monotonic()
        self._ear = _Ear()
        self._events: list[tuple[int, Event]] = []  # that have not been told yet
        runner = _AnnouncingRunner(self._tell_before, started.network, started.bytes_per_position)
        self._engine = Engine(runner, replace(config, max_queue_tokens=NO_LIMIT), self._ear)
        self._upgrade = None if started.make_faster is None else Upgrade(started.make_faster)
        self._device = started.network.device

    def run(self) -> None:
        """Until told to stop. Raises `EOFError` or `OSError` once the other side is gone, `SystemExit` once
        the device is."""
        while self._take():
            self._change_over()
            if not self._engine.is_idle:
                emissions = self._turn()
                if lost_with(emissions, self._device):
                    raise SystemExit(DEVICE_LOST)
                self._note(emissions)
            if self._events and self._engine.is_idle:
                self._tell()  # no pass follows before which it would be told

    def _take(self) -> bool:
        """All that has arrived; sleep as long as there is nothing to do. False: it is time to stop."""
        while self._news.poll(self._patience_milliseconds()):
            commands: tuple[Command, ...] = receive(self._connection)
            for command in commands:
                if isinstance(command, Stop):
                    return False
                self._obey(command)
        return True

    def _patience_milliseconds(self) -> float | None:
        """How long to wait for what may arrive; None: for ever."""
        if self._events or not self._engine.is_idle:
            return 0
        return None if self._upgrade is None else 1000 * LOOK_SECONDS

    def _change_over(self) -> None:
        """To the faster network as soon as there is one; what runs goes on where it is."""
        if self._upgrade is None:
            return
        is_over = not self._upgrade.is_pending
        if (network := self._upgrade.take()) is not None:
            logger.info(
                "changing over: what joins now is decoded by another network", extra={"path": network.path}
            )
            self._engine.change_over(_AnnouncingRunner(self._tell_before, network))
            send(self._connection, Changed(network.path))
        if is_over:
            self._upgrade = None

    def _obey(self, command: Submit | Cancel) -> None:
        match command:
            case Submit(key, request, submitted_at):
                self._submit(key, replace(request, segment_id=str(key)), submitted_at)
            case Cancel(key):
                self._engine.cancel(str(key))

    def _submit(self, key: int, request: SegmentRequest, submitted_at: float) -> None:
        try:
            self._engine.submit(request, submitted_at)
        except (EngineError, ValueError) as cause:
            # The parent has checked all this, so it is a defect; nobody may wait for ever.
            logger.exception("an accepted segment was refused")
            error = cause if isinstance(cause, EngineError) else StepFailed(str(cause))
            self._events.append((key, FailedEvent(error)))

    def _turn(self) -> list[Emission]:
        try:
            return self._engine.step()
        except Exception:
            # Steps handle the device's failures themselves, so this is a defect; nobody may wait for ever.
            logger.exception("the engine's loop failed")
            return self._engine.fail_all(StepFailed("the engine failed"))

    def _note(self, emissions: Sequence[Emission]) -> None:
        self._events += [(int(emission.segment.request.segment_id), emission.event) for emission in emissions]

    def _tell_before(self, joining: Sequence[Segment]) -> None:
        """Before a pass over the network: what somebody waits for, who joins, now and then a sign of life.

        One report for a step's events and for those who take the place of the finished: each wakes the other
        side up.
        """
        if joining or self._events or time.monotonic() - self._reported_at >= QUIET_SECONDS:
            self._tell(tuple(int(segment.request.segment_id) for segment in joining))

    def _tell(self, joining: tuple[int, ...] = ()) -> None:
        events, self._events, self._reported_at = tuple(self._events), [], time.monotonic()
        send(self._connection, Stepped(self._ear.take(), events, self._engine.tokens_per_second, joining))


class _AnnouncingRunner(Runner):
    """Says that the network is about to be used, and who joins, before anything can go wrong with it."""

    def __init__(
        self,
        announce: Callable[[Sequence[Segment]], None],
        network: Network,
        bytes_per_position: int | None = None,
    ) -> None:
        super().__init__(network, bytes_per_position)
        self._announce = announce

    def join(self, segments: Sequence[Segment]) -> None:
        self._announce(segments)
        super().join(segments)

    def step(self, *, run_on: bool = True) -> Selection:
        self._announce(())
        return super().step(run_on=run_on)


class _Ear:
    """Keeps what an observer is told until the next report."""

    def __init__(self) -> None:
        self._facts: list[Observed] = []

    def take(self) -> tuple[Observed, ...]:
        facts, self._facts = tuple(self._facts), []
        return facts

    def _note(self, name: FactName, *arguments: Any) -> None:
        self._facts.append(Observed(name, arguments))

    def step(self, phase: Phase, duration_seconds: float, rows: int, padding_tokens: int) -> None:
        self._note("step", phase, duration_seconds, rows, padding_tokens)

    def finished(
        self, finish_reason: FinishReason, source_tokens: int, target_tokens: int, timings: SegmentTimings
    ) -> None:
        self._note("finished", finish_reason, source_tokens, target_tokens, timings)

    def cancelled(self, stage: Stage) -> None:
        self._note("cancelled", stage)

    def failed(self, reason: str) -> None:
        self._note("failed", reason)

    def rejected(self, reason: str) -> None: ...

    def restarted(self) -> None: ...
