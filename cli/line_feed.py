"""Reads lines ahead in a thread of its own: a slow input holds up no line that is being translated.

    input files --(thread)--> at most `ahead` lines --take--> the event loop

Knows threads and one event loop; must not know what becomes of a line.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

AHEAD_LINES = 8192
AHEAD_CHARACTERS = 1 << 22


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its end; `number` counts from 1 within input `input_index`."""

    input_index: int
    number: int
    text: str


class LineFeed:
    """The lines of `lines` in order, as many at a time as there are. Made and used on one event loop.

    What goes wrong while reading is raised once every line before it has been taken.
    """

    def __init__(self, lines: Iterable[Line]) -> None:
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self._room = threading.Condition()
        self._buffer: deque[Line] = deque()  # this and all below under _room
        self._characters = 0
        self._ended = self._closed = False
        self._fault: Exception | None = None
        # A daemon: a read that never returns (a terminal, a silent pipe) must not outlive the command.
        threading.Thread(target=self._read, args=(lines,), name="verto-lines", daemon=True).start()

    async def take(self, max_lines: int, max_characters: int) -> list[Line]:
        """Waits for a line, then gives what is there, up to the line that reaches a bound.

        Empty at the end. Raises what reading raised.
        """
        while True:
            await self._arrived.wait()
            with self._room:
                taken = self._take_some(max_lines, max_characters)
                if taken:
                    return taken
                if self._fault is not None:
                    raise self._fault
                if self._ended:
                    return []
                self._arrived.clear()

    def close(self) -> None:
        """Nothing more is wanted."""
        with self._room:
            self._closed = True
            self._room.notify()

    def _take_some(self, max_lines: int, max_characters: int) -> list[Line]:
        taken: list[Line] = []
        characters = 0
        while self._buffer and len(taken) < max_lines and characters < max_characters:
            line = self._buffer.popleft()
            characters += len(line.text)
            taken.append(line)
        self._characters -= characters
        self._room.notify()
        return taken

    def _read(self, lines: Iterable[Line]) -> None:
        fault: Exception | None = None
        try:
            for line in lines:
                if not self._put(line):
                    return
        except Exception as error:  # told to whoever takes the next line
            fault = error
        with self._room:
            self._ended, self._fault = True, fault
        self._wake()

    def _put(self, line: Line) -> bool:
        """False: nobody wants more."""
        with self._room:
            while self._is_full() and not self._closed:
                self._room.wait()
            was_empty = not self._buffer
            self._buffer.append(line)
            self._characters += len(line.text)
            is_wanted = not self._closed
        if was_empty and is_wanted:
            self._wake()
        return is_wanted

    def _is_full(self) -> bool:
        return len(self._buffer) >= AHEAD_LINES or self._characters >= AHEAD_CHARACTERS

    def _wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._arrived.set)
        except RuntimeError:  # the loop has been closed, so nobody waits
            return
