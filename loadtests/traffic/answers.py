"""Judges answers: done, refused or failed. A status of 200 is not enough; the content must be whole.

Knows: the API's answers and events. Must not know: connections, clocks of windows.
"""

from __future__ import annotations

import json
from typing import Any

from loadtests.traffic.requests import Asked
from loadtests.traffic.samples import DONE, FAILED, REFUSED, REFUSING_STATUSES, Verdict

OK = 200
# Events that were sent together are read one after the other: one arrival.
TOGETHER_SECONDS = 0.001
CUT, MALFORMED = "cut off", "malformed answer"
# What reading anything but an answer may raise; the last two: nested too deeply, infinitely many tokens.
_FAULTS = (ValueError, TypeError, KeyError, RecursionError, OverflowError)


def judged(status: int, body: bytes, asked: Asked) -> Verdict:
    """Of a whole answer without a stream, or of a stream that was refused before it began."""
    if status != OK:
        return not_ok(status)
    try:
        answer = json.loads(body)
        count, tokens = len(answer["translations"]), int(answer["usage"]["target_tokens"])
    except _FAULTS:
        return Verdict(FAILED, MALFORMED)
    if count != asked.num_texts:
        return Verdict(FAILED, f"{count} translations of {asked.num_texts} texts")
    return Verdict(DONE, target_tokens=tokens)


def not_ok(status: int) -> Verdict:
    """A refusal, said by the server before it did any work, is no failure."""
    return Verdict(REFUSED if status in REFUSING_STATUSES else FAILED, f"status {status}")


class StreamReading:
    """An event stream as it comes in, in pieces cut anywhere."""

    def __init__(self) -> None:
        self._rest, self._verdict = b"", Verdict(FAILED, CUT)
        self.is_over = False
        self.arrivals: list[float] = []

    def feed(self, piece: bytes, now: float) -> None:
        """`now` in seconds of any clock; `arrivals` are told by the same."""
        *blocks, self._rest = (self._rest + piece).split(b"\n\n")
        for block in blocks:
            self._take(block, now)

    @property
    def verdict(self) -> Verdict:
        """Until the last event has come, that of a stream which was cut off."""
        return self._verdict

    def _take(self, block: bytes, now: float) -> None:
        fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if b": " in line)
        name = fields.get(b"event")
        if name == b"delta":
            if not self.arrivals or now - self.arrivals[-1] >= TOGETHER_SECONDS:
                self.arrivals.append(now)
        elif name in (b"done", b"error"):
            self.is_over = True
            self._verdict = _last_event(name, fields.get(b"data", b""))


def _last_event(name: bytes, data: bytes) -> Verdict:
    try:
        content: dict[str, Any] = json.loads(data)
        if name == b"error":
            return Verdict(FAILED, f"error event: {content['code']}")
        return Verdict(DONE, target_tokens=int(content["usage"]["target_tokens"]))
    except _FAULTS:
        return Verdict(FAILED, MALFORMED)
