"""Judges answers against the texts that the same sentences had before the rehearsal began.

Knows: the API's answers and events. Must not know: connections, clocks, locust.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from loadtests.rehearsal.outcome import CUT, ERROR, FAILED, OK, REFUSED, WRONG

REFUSING_STATUSES = (429, 503)
Verdict = tuple[str, str]  # outcome, detail


def judged_status(status: int, headers: Mapping[str, str]) -> Verdict | None:
    """Of an answer that is no translation; None for one that is. Status 0 is no answer at all."""
    if status == 200:
        return None
    retry_after = headers.get("Retry-After")
    if status in REFUSING_STATUSES and retry_after is not None:
        return REFUSED, f"status {status}, Retry-After {retry_after}"
    return FAILED, f"status {status}" if status else "no answer"


def judged_translation(answer: Any, expected: str) -> Verdict:
    """Of the JSON that came with status 200."""
    try:
        text = answer["translations"][0]["text"]
    except (TypeError, LookupError):
        return FAILED, "no translation in the answer"
    return _compared(text, expected)


class JudgedStream:
    """Events of a stream, block by block as they come in."""

    def __init__(self, expected: str) -> None:
        self._expected, self._text = expected, ""
        self._last = "nothing"

    @property
    def is_over(self) -> bool:
        return self._last in ("done", "error")

    def feed(self, block: str) -> None:
        """A block is what stands between two empty lines; comments are blocks without fields."""
        fields = dict(
            line.split(": ", 1) for line in block.splitlines() if not line.startswith(":") and ": " in line
        )
        self._last = fields.get("event", self._last)
        if fields.get("event") == "delta":
            self._text += json.loads(fields["data"])["text"]
        elif fields.get("event") == "error":
            self._problem = str(json.loads(fields["data"]).get("code"))

    def verdict(self) -> Verdict:
        """What it came to; call it when nothing more comes."""
        if self._last == "error":
            return ERROR, self._problem
        if self._last != "done":
            return CUT, f"ended after {self._last}"
        return _compared(self._text, self._expected)


def _compared(text: str, expected: str) -> Verdict:
    return (OK, "") if text == expected else (WRONG, f"{text[:60]!r} instead of {expected[:60]!r}")
