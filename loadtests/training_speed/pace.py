"""A training loop that makes so many steps when it is told to, and says what they took.

Knows: standard input and output, the clocks. Must not know: whose loop it is. One line in ("go 4"), one line
of JSON out; what libraries print to standard output goes to standard error.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from dataclasses import asdict, dataclass
from typing import TextIO


@dataclass(frozen=True, slots=True)
class Took:
    """What some steps took. `processor_seconds` are those of this process, in its own code and the system's,
    whoever else wanted the processor; `peak_bytes` is the most memory that the process ever held."""

    steps: int
    tokens: int
    processor_seconds: float
    wall_seconds: float
    peak_bytes: int


class Pace:
    """`ready` before the first step, `step_done` after each: both return when the next step is wanted."""

    def __init__(self) -> None:
        self._answers = _own_output()
        self._wanted = self._steps = self._tokens = 0
        self._began = (0.0, 0.0)

    def ready(self) -> None:
        """Say that all is loaded, and wait for the first order."""
        self._say({"ready": True})
        self._wait()

    def step_done(self, tokens: int) -> None:
        """`tokens` are the target tokens that the step learned from."""
        self._steps += 1
        self._tokens += tokens
        if self._steps == self._wanted:
            self._report()
            self._wait()

    def _report(self) -> None:
        processor, wall = (now - began for now, began in zip(_clocks(), self._began, strict=True))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        self._say(asdict(Took(self._steps, self._tokens, processor, wall, peak)))

    def _wait(self) -> None:
        """Until the next order; without one the process ends as it stands: nothing of it is to be kept."""
        order = sys.stdin.readline().split()
        if not order or order[0] != "go":
            self._answers.flush()
            os._exit(0)
        self._wanted, self._steps, self._tokens = int(order[1]), 0, 0
        self._began = _clocks()

    def _say(self, what: dict[str, object]) -> None:
        self._answers.write(json.dumps(what) + "\n")
        self._answers.flush()


def _clocks() -> tuple[float, float]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime, time.perf_counter()


def _own_output() -> TextIO:
    """Standard output for us alone; everybody else's becomes standard error."""
    own = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(own, "w", encoding="utf-8")
