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

from model.transformer import Transformer
from service.engine import EngineConfig
from service.engine.observer import EngineObserver
from service.engine.process_engine import ProcessEngine
from service.engine.worker import serve_model
from tests.builders import tiny_model


class Death(BaseException):
    """Nothing in the engine catches it, as nothing catches a signal that kills."""


class ThreadChild:
    """A `Child` that is a thread. Killed, it does and says nothing more, and its pipe is closed at once."""

    def __init__(self, model: Transformer, config: EngineConfig, digest: str = "digest") -> None:
        self.connection, self._theirs = Pipe()
        self._model, self._config, self._digest = model, config, digest
        self.is_dead = threading.Event()
        threading.Thread(target=self._run, name="child", daemon=True).start()

    def _run(self) -> None:
        with contextlib.suppress(EOFError, OSError, Death), self._theirs:
            serve_model(self._theirs, self._model, self._config, self._digest)
        self.is_dead.set()

    def kill(self) -> None:
        if not self.is_dead.is_set():
            self.is_dead.set()
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self._theirs.fileno())) as pipe:
                pipe.shutdown(socket.SHUT_RDWR)

    def wait(self, timeout_seconds: float) -> bool:
        return self.is_dead.wait(timeout_seconds)


class Nursery:
    """Starts children for one engine and remembers them. `prepare` is given each child before it works."""

    def __init__(self, model: Transformer, config: EngineConfig) -> None:
        self.model, self.config = model, config
        self.children: list[ThreadChild] = []
        self.failing: Callable[[int], Exception | None] = lambda number: None  # by number of the start

    def __call__(self) -> ThreadChild:
        number = len(self.children)
        child = ThreadChild(self.model, self.config)
        self.children.append(child)
        if self.failing(number) is not None:
            child.kill()
        return child

    @property
    def present(self) -> ThreadChild:
        return self.children[-1]


@contextlib.contextmanager
def nursed(
    model: Transformer | None = None,
    observer: EngineObserver | None = None,
    stuck_seconds: float = 20.0,
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
