"""The consumer's end of a segment: events that the engine's thread hands over, read on an event loop.

Knows: asyncio. Must not know: engines, segments, text.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence

from service.engine.request import DraftEvent, Event, TokensEvent


class Mailbox:
    """What waits to be read by one consumer. Belongs to the event loop on which it was made."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._events: deque[Event | None] = deque()
        self._reader: asyncio.Future[None] | None = None  # sleeps until something comes

    def put(self, event: Event | None) -> None:
        """None: nothing will come any more. On the loop only."""
        self._events.append(event)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def take(self) -> Event | None:
        """Losing no event when the waiting task is cancelled."""
        while not self._events:
            self._reader = self.loop.create_future()
            await self._reader
        return self._events.popleft()


def post(mail: Sequence[tuple[Mailbox, Event]]) -> None:
    """Hand events over from any thread: one wake-up per event loop. A loop that is closed gets nothing."""
    for loop in {mailbox.loop for mailbox, _ in mail}:
        batch = [(mailbox, event) for mailbox, event in mail if mailbox.loop is loop]
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_put_all, batch)


def _put_all(batch: Sequence[tuple[Mailbox, Event]]) -> None:
    for mailbox, event in batch:
        mailbox.put(event)


class EventStream:
    """Events of one segment, up to and with its last. `aclose`, or dropping it unread, cancels the segment.

    Cancelling a task that waits for the next event loses nothing and cancels nothing: who only wanted to wait
    so long may go on later.
    """

    def __init__(self, mailbox: Mailbox, cancel: Callable[[], None]) -> None:
        self._mailbox, self._cancel = mailbox, cancel
        self._is_over = False

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> Event:
        if self._is_over:
            raise StopAsyncIteration
        event = await self._mailbox.take()
        self._is_over = self._is_over or not isinstance(event, TokensEvent | DraftEvent)
        if event is None:
            raise StopAsyncIteration
        return event

    async def aclose(self) -> None:
        """Stop reading. The segment is cancelled unless it has ended; its rows are free at the next step."""
        if self._is_over:
            return
        self._is_over = True
        self._mailbox.put(None)
        self._cancel()

    def __del__(self) -> None:
        # Collection may happen on any thread, even inside the engine's lock: let the event loop cancel.
        if not self._is_over:
            with contextlib.suppress(RuntimeError):
                self._mailbox.loop.call_soon_threadsafe(self._cancel)
