"""Waits for conditions, never for ever. Knows: clocks. Must not know: what is waited for."""

from __future__ import annotations

import time
from collections.abc import Callable

POLL_SECONDS = 0.05


class TookTooLong(RuntimeError):
    """What was waited for did not happen in time; says what."""


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> float:
    """How many seconds it took. Raises TookTooLong."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            raise TookTooLong(f"not within {seconds:.0f} s: {what}")
        time.sleep(POLL_SECONDS)
    return time.monotonic() - began
