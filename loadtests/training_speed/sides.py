"""Sides as processes of their own: started, told to make steps, ended.

Knows: commands, pipes, the lines of `pace`. Must not know: what a side trains with.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from loadtests.training_speed.pace import Took

VERTO, JOEY, TRAINER = "Verto", "Joey NMT", "Trainer"
MODULES = {VERTO: "verto_side", JOEY: "joey_side", TRAINER: "trainer_side"}
# The peers' folder comes last: what this environment has as well, all sides have from here.
START = """import runpy, sys
sys.path.append(sys.argv.pop(1))
runpy.run_module(sys.argv.pop(1), run_name="__main__")"""


class SideFailed(Exception):
    """A side ended, or said what it must not say; its last lines are told."""


class Side:
    """One process. A context manager: it is ended on leaving."""

    def __init__(self, name: str, task: Path, peers: Path | None) -> None:
        """`peers` is the folder of packages that are not this environment's."""
        self.name, self.log = name, task / f"{MODULES[name]}.log"
        module = f"loadtests.training_speed.{MODULES[name]}"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", START, str(peers or ""), module, str(task)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip

    def __enter__(self) -> Side:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()

    def wait_ready(self) -> None:
        """Raises `SideFailed`."""
        self._answer()

    def go(self, steps: int) -> Took:
        """Have it make so many steps. Raises `SideFailed`."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"go {steps}\n")
            self._process.stdin.flush()
        except OSError:
            raise self._failure() from None
        return Took(**self._answer())

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._failure()
        found: dict[str, Any] = json.loads(line)
        return found

    def _failure(self) -> SideFailed:
        self._process.wait()
        last = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-8:]
        return SideFailed("\n".join([f"{self.name} ended ({self._process.returncode}):", *last]))


@contextmanager
def sides(names: Sequence[str], task: Path, peers: Path | None) -> Iterator[list[Side]]:
    """All of them, ready. Raises `SideFailed`."""
    with ExitStack() as stack:
        started = [stack.enter_context(Side(name, task, peers)) for name in names]
        for side in started:
            side.wait_ready()
        yield started
