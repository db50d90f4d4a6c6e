"""A process engine without processes: its children are threads here, so that a test can hold and kill them.

What is between parent and child is real: the pipe, the messages, the worker, the supervisor.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from typing import Any

from model.network import EagerNetwork, Network
from model.transformer import Transformer
from service.engine import EngineConfig
from service.engine.network_start import StartedNetwork
from service.engine.observer import EngineObserver
from service.engine.process_engine import ProcessEngine
from service.engine.worker import serve_network
from tests.builders import tiny_model
from tests.service.engine.thread_door import SECONDS


class Death(BaseException):
    """Nothing in the engine catches it, as nothing catches a signal that kills."""


class ThreadChild:
    """A `Child` that is a thread. Killed, it says nothing more, and its pipe is closed at once."""

    def __init__(self, work: Callable[[ThreadChild], None]) -> None:
        self.connection, self.theirs = Pipe()
        self._work = work
        self._dead = threading.Event()
        threading.Thread(target=self._run, name="child", daemon=True).start()

    def _run(self) -> None:
        with contextlib.suppress(EOFError, OSError, Death, SystemExit), self.theirs:
            self._work(self)
        self._dead.set()

    @property
    def exit_status(self) -> int | None:
        return None

    def kill(self) -> None:
        if not self._dead.is_set():
            self._dead.set()
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self.theirs.fileno())) as pipe:
                pipe.shutdown(socket.SHUT_RDWR)

    def wait(self, timeout_seconds: float) -> bool:
        return self._dead.wait(timeout_seconds)


def started_with(network: Network, digest: str = "digest", **others: Any) -> StartedNetwork:
    """A network that has started, from a bundle of that digest."""
    bytes_per_position = others.pop("bytes_per_position", network.bytes_per_position)
    return StartedNetwork(
        network=network, manifest_digest=digest, bytes_per_position=bytes_per_position, **others
    )


class Nursery:
    """Starts the children of one engine. What a test changes here is so for the next child."""

    def __init__(self, model: Transformer, config: EngineConfig) -> None:
        self.model, self.config, self.digest = model, config, "digest"
        self.children: list[ThreadChild] = []
        self.is_failing = False  # children die before they are ready
        self.may_load = threading.Event()  # children load until this is set
        self.may_load.set()

    def __call__(self) -> ThreadChild:
        self.children.append(ThreadChild(self._work))
        return self.children[-1]

    def _work(self, child: ThreadChild) -> None:
        assert self.may_load.wait(SECONDS)
        if not self.is_failing:
            serve_network(child.theirs, started_with(EagerNetwork(self.model), self.digest), self.config)

    def kill(self) -> None:
        """The present child."""
        self.children[-1].kill()

    def poison(self, token_id: int) -> None:
        """Sources with this token kill whoever encodes them."""
        encode = self.model.encode

        def guarded(source_ids: Any, *arguments: Any) -> Any:
            if (source_ids == token_id).any():
                self.kill()
                raise Death
            return encode(source_ids, *arguments)

        self.model.encode = guarded  # type: ignore[method-assign]


@contextlib.contextmanager
def nursed(
    model: Transformer | None = None,
    observer: EngineObserver | None = None,
    stuck_seconds: float = SECONDS,
    **limits: Any,
) -> Iterator[tuple[ProcessEngine, Nursery]]:
    """A process engine and who starts its children."""
    config = EngineConfig(**{"max_rows": 8, **limits})
    nursery = Nursery(model or tiny_model(1), config)
    engine = ProcessEngine(nursery, config, observer, stuck_seconds=stuck_seconds)
    try:
        engine.wait_until_ready()
        yield engine, nursery
    finally:
        engine.close()


@contextlib.contextmanager
def behind_a_pipe(model: Transformer | None = None, **limits: Any) -> Iterator[ProcessEngine]:
    """As `thread_door.running`, with the pipe between."""
    with nursed(model, **limits) as (engine, _):
        yield engine
