"""What became of one request, as a line of JSON that one process writes and another reads.

Knows: kinds, outcomes, moments. Must not know: HTTP, locust, who is killed when.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

TRANSLATION, STREAM = "translation", "stream"
KINDS = (TRANSLATION, STREAM)

OK = "ok"
REFUSED = "refused"  # told so before any work, with Retry-After
FAILED = "failed"  # no answer, or a status that is no refusal
CUT = "cut"  # a stream that ended with neither `done` nor `error`
ERROR = "error"  # a stream that ended with `error`
WRONG = "wrong"  # another text than the same sentences had before
HUNG = "hung"  # no end in time
OUTCOMES = (OK, REFUSED, FAILED, CUT, ERROR, WRONG, HUNG)
BAD = (FAILED, CUT, ERROR, WRONG, HUNG)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request. Moments are seconds of the machine's steady clock, the same in all processes."""

    kind: str
    began: float
    ended: float
    outcome: str
    detail: str = ""

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    @property
    def is_bad(self) -> bool:
        """Neither answered nor refused in good order."""
        return self.outcome in BAD

    def line(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False) + "\n"


def read_outcomes(path: Path) -> Iterator[Outcome]:
    """Those that have been written whole."""
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("\n"):
                yield Outcome(**json.loads(line))
