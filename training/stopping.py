"""Ctrl-C and SIGTERM as a wish to stop: the run ends after its step, with its state saved.

Or as the end at once, in a process that has nothing to save.

Knows: signals. Must not know: what is stopped.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopWish:
    """Whether somebody asked.

    With `forgiving`, asking again changes nothing: of one Ctrl-C torchrun makes several signals, and it ends
    by itself, after half a minute, those that do not stop.
    """

    def __init__(self, forgiving: bool, on_first: Callable[[], None]) -> None:
        self._forgiving, self._on_first = forgiving, on_first
        self.asked = False

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Signals are taken as the wish meanwhile; a second one ends the program at once."""
        if threading.current_thread() is not threading.main_thread():
            yield  # Python lets only the main thread listen to signals
            return
        previous = {number: signal.signal(number, self._hear) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if not self._forgiving:
            signal.signal(number, signal.default_int_handler)
        if not self.asked:
            self.asked = True
            self._on_first()


@contextmanager
def at_once() -> Iterator[None]:
    """`end_at_once`, for the block."""
    previous = end_at_once()
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def end_at_once() -> dict[int, Any]:
    """From now on signals end the program without a word, also while it waits where Python hears none.

    For a program that has nothing to save or to tidy up. Returns what was done about them before.
    """
    if threading.current_thread() is not threading.main_thread():
        return {}
    # What was ignored stays ignored: under nohup the hang-up is.
    heard = [number for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    return {number: signal.signal(number, signal.SIG_DFL) for number in heard}
