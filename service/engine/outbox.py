"""Commands on their way to a child: sent at once while the pipe takes them, else by a thread of their own.

Knows: one pipe. Must not know: what the commands mean. Who submits never waits for a full pipe: commands that
come while the thread sends make its next batch. What the child no longer takes is lost here; the ledger knows
what was not ended.
"""

from __future__ import annotations

import contextlib
import select
import threading
from multiprocessing.connection import Connection

from service.engine.wire import Command, packed, send

# A pipe that says that it can be written takes so much without making anybody wait (Linux: far more).
AT_ONCE_BYTES = 2048


class Outbox:
    """For one child; started at once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._room = select.poll()
        self._room.register(connection.fileno(), select.POLLOUT)
        self._wake = threading.Condition()
        self._commands: list[Command] = []  # that the thread is to send
        self._is_behind = False  # the thread has some, and others must not overtake them
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="verto-engine-outbox", daemon=True)
        self._thread.start()

    def put(self, *commands: Command) -> None:
        with self._wake:
            # Waking a thread for each takes longer than sending it.
            if not self._is_closed and (self._is_behind or not self._sent_at_once(commands)):
                self._commands += commands
                self._is_behind = True
                self._wake.notify()

    def close(self, timeout_seconds: float) -> None:
        """Send nothing more. A child that is gone keeps nobody waiting."""
        with self._wake:
            self._is_closed = True
            self._wake.notify()
        self._thread.join(timeout_seconds)

    def _sent_at_once(self, commands: tuple[Command, ...]) -> bool:
        """Whether there was room for them. Under the lock, so that they keep their order."""
        message = packed(commands)
        if len(message) > AT_ONCE_BYTES or not self._room.poll(0):
            return False
        with contextlib.suppress(OSError):  # the child is gone: whoever reads from it finds out
            self._connection.send_bytes(message)
        return True

    def _run(self) -> None:
        with contextlib.suppress(OSError):  # as above
            while batch := self._take():
                send(self._connection, batch)

    def _take(self) -> tuple[Command, ...]:
        """Sleep until there is something to send; nothing: it is time to stop."""
        with self._wake:
            self._is_behind = bool(self._commands)
            while not self._commands and not self._is_closed:
                self._wake.wait()
            batch = () if self._is_closed else tuple(self._commands)
            self._commands.clear()
            return batch
