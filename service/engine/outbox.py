"""Commands on their way to a child, sent by a thread of their own: who submits never waits for a full pipe.

Knows: one pipe. Must not know: what the commands mean. Commands that come while one batch is sent make the
next batch. What the child no longer takes is lost here; the ledger knows what was not ended.
"""

from __future__ import annotations

import contextlib
import threading
from multiprocessing.connection import Connection

from service.engine.wire import Command, send


class Outbox:
    """For one child; started at once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._wake = threading.Condition()
        self._commands: list[Command] = []
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="verto-engine-outbox", daemon=True)
        self._thread.start()

    def put(self, *commands: Command) -> None:
        with self._wake:
            self._commands += commands
            self._wake.notify()

    def close(self, timeout_seconds: float) -> None:
        """Send nothing more. A child that is gone keeps nobody waiting."""
        with self._wake:
            self._is_closed = True
            self._wake.notify()
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        with contextlib.suppress(OSError):  # the child is gone: whoever reads from it finds out
            while batch := self._take():
                send(self._connection, batch)

    def _take(self) -> tuple[Command, ...]:
        """Sleep until there is something to send; nothing: it is time to stop."""
        with self._wake:
            while not self._commands and not self._is_closed:
                self._wake.wait()
            batch = () if self._is_closed else tuple(self._commands)
            self._commands.clear()
            return batch
