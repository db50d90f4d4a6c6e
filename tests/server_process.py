"""`verto serve` as a process of its own, and the processes that it has started.

Knows the command, its log lines and /proc; must not know what a test does with the server.
"""

import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 180.0
PROC = Path("/proc")


class Server:
    """A started `verto serve`; its log lines are kept."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._queue: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            self._queue.put(line)
        self._queue.put(None)

    def wait_for_line(self, message: str) -> dict[str, object]:
        """The fields of the first log line with this message."""
        while (line := self._queue.get(timeout=PATIENCE)) is not None:
            if line.startswith("{") and json.loads(line)["message"] == message:
                return dict(json.loads(line))
        raise AssertionError(f"{message!r} was not logged:\n" + "".join(self.lines))

    def end(self) -> int:
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code


@contextmanager
def serve(*arguments: str) -> Iterator[Server]:
    """On a free port, in a process group of its own, until the block is left."""
    command = [sys.executable, "-m", "cli.main", "serve", "--port", "0", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        process_group=0,
    ) as process:
        try:
            yield Server(process)
        finally:
            process.kill()


def one_bundle(folder: Path) -> Path:
    """A folder of bundles that holds one of those that are shipped: one model, one engine."""
    shutil.copytree(ROOT / "checkpoints" / "en-de", folder / "en-de")
    return folder


def children_of(pid: int) -> list[int]:
    """Living processes that this one has started."""
    found = []
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (status := _parent_and_state(entry)) and status[0] == pid:
            found += [int(entry.name)] if status[1] not in "ZX" else []
    return found


def is_alive(pid: int) -> bool:
    status = _parent_and_state(PROC / str(pid))
    return status is not None and status[1] not in "ZX"


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while is_alive(pid):
        assert time.monotonic() < deadline, f"process {pid} goes on"
        time.sleep(0.05)


def _parent_and_state(entry: Path) -> tuple[int, str] | None:
    try:
        text = (entry / "stat").read_text()
    except OSError:  # it has ended meanwhile
        return None
    state, parent = text.rpartition(")")[2].split()[:2]
    return int(parent), state
