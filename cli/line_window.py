"""Many lines in flight, results in order, memory bounded: the shape of every command that works line by line.

    feed --take--> a round, long lines first --> in flight, in the order of the lines --> results
                   begun as soon as the rounds before it leave room

Knows lines and a function to be awaited for each; must not know translation or files.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from cli.line_feed import Line, LineFeed

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowSize:
    """Lines of similar length share a batch best, so a round is sorted by length and submitted together.

    Two rounds in flight keep the batch full while the first waits for its last line.
    """

    round_lines: int = 512
    round_characters: int = 1 << 18
    rounds: int = 2


class LineWindow(Generic[T]):
    """Awaits `work` for every line of `feed`, many at once. `results` is iterated once."""

    def __init__(
        self, feed: LineFeed, work: Callable[[Line], Awaitable[T]], size: WindowSize | None = None
    ) -> None:
        self._feed, self._work, self._size = feed, work, size or WindowSize()
        self._in_flight: deque[tuple[Line, asyncio.Future[T]]] = deque()
        self._characters = 0
        self._taking: asyncio.Task[list[Line]] | None = None
        self._ended = False
        self._fault: BaseException | None = None

    async def results(self) -> AsyncGenerator[list[tuple[Line, T]]]:
        """Each line with its result, in order: whatever is ready, at least one line at a time.

        Raises what `work` raised for the first line that failed, or what the feed raised, in either case
        behind the results of all lines before. Whatever is in flight then, or when the iterator is closed, is
        cancelled.
        """
        try:
            while waiting := self._wait_for():
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                self._begin_round()
                if ready := self._ready():
                    yield ready
            if self._fault is not None:
                raise self._fault
        finally:
            await self._abandon()

    def _wait_for(self) -> list["asyncio.Future[list[Line]] | asyncio.Future[T]"]:
        """The next lines, if there is room for them, and the first result that is due."""
        if self._taking is None and not self._ended and self._has_room():
            size = self._size
            self._taking = asyncio.ensure_future(self._feed.take(size.round_lines, size.round_characters))
        first = [self._in_flight[0][1]] if self._in_flight else []
        return [*first, *([] if self._taking is None else [self._taking])]

    def _has_room(self) -> bool:
        full_rounds = self._size.rounds - 1
        return (
            len(self._in_flight) <= full_rounds * self._size.round_lines
            and self._characters <= full_rounds * self._size.round_characters
        )

    def _begin_round(self) -> None:
        """Submit the lines that have been taken, the longest first."""
        if self._taking is None or not self._taking.done():
            return
        taking, self._taking = self._taking, None
        self._fault = taking.exception()
        lines = [] if self._fault is not None else taking.result()
        self._ended = not lines
        begun: dict[int, asyncio.Future[T]] = {}
        for place in sorted(range(len(lines)), key=lambda place: -len(lines[place].text)):
            begun[place] = asyncio.ensure_future(self._work(lines[place]))
        for place, line in enumerate(lines):
            self._in_flight.append((line, begun[place]))
            self._characters += len(line.text)

    def _ready(self) -> list[tuple[Line, T]]:
        """The results that are due and there. Raises the first line's fault once nothing stands before it."""
        ready: list[tuple[Line, T]] = []
        while self._in_flight and self._in_flight[0][1].done():
            line, result = self._in_flight[0]
            if ready and result.exception() is not None:
                break
            ready.append((line, result.result()))
            self._in_flight.popleft()
            self._characters -= len(line.text)
        return ready

    async def _abandon(self) -> None:
        """Cancel what runs, and wait until it has ended."""
        self._feed.close()
        running: list[asyncio.Future[Any]] = [future for _, future in self._in_flight]
        if self._taking is not None:
            running.append(self._taking)
        for future in running:
            future.cancel()
        await asyncio.gather(*running, return_exceptions=True)
