"""Ctrl-C and SIGTERM as a wish to stop: the run ends after its step, with its state saved.

Knows: signals. Must not know: what is stopped.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


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
