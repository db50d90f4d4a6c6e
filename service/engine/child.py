"""One engine process: started with its end of a pipe, asked to stop by the pipe's end, killed if it does not.

Knows: processes, signals. Must not know: segments, restarts.

No orphans: the child's first act is to have the kernel kill it with the thread that started it (Linux), and
it ends when the pipe does (everywhere). Ctrl-C and SIGTERM, which may go to a whole process group, must not
reach it, or nothing could be drained: the thread that starts it blocks them, and so it is born with that.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

from service.engine.wire import Start, send

SIGNALS_OF_THE_PARENT = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
_ROOT = str(Path(__file__).resolve().parents[2])
# Not `-m`: the packages need neither be installed nor stand in the current folder.
_CODE = "import sys; sys.path.insert(0, sys.argv.pop(1)); from service.engine_process import main; main()"


class Child(Protocol):
    """A running engine at the other end of `connection`."""

    connection: Connection

    @property
    def exit_status(self) -> int | None:
        """Of one that has ended: what it chose, or minus the number of the signal that killed it."""

    def kill(self) -> None:
        """End it at once, whatever it is doing. Idempotent."""

    def wait(self, timeout_seconds: float) -> bool:
        """Whether it has ended, within that time."""


class EngineProcess:
    """A `Child` that is a process. Raises `OSError` when there can be none.

    To be made in a thread that outlives it (see above). `arguments` are handed to its main function.
    """

    def __init__(self, start: Start, arguments: Sequence[str]) -> None:
        self.connection, theirs = Pipe()
        with theirs:
            command = [sys.executable, "-c", _CODE, _ROOT, str(os.getpid()), str(theirs.fileno()), *arguments]
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS_OF_THE_PARENT)
            self._process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )
        with contextlib.suppress(OSError):  # it is dead: whoever reads from it finds out
            send(self.connection, start)

    @property
    def exit_status(self) -> int | None:
        """See `Child.exit_status`."""
        return self._process.returncode

    def kill(self) -> None:
        """See `Child.kill`."""
        self._process.kill()

    def wait(self, timeout_seconds: float) -> bool:
        """See `Child.wait`."""
        try:
            self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            return False
        return True
