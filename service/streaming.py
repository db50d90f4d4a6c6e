"""Server-sent events: from events to bytes, with heartbeats, and an end to the work when nobody reads.

    start  delta* segment  delta* segment …  done        (or error, after which nothing follows)

Knows the event stream format and the names of our events; must not know the engine or how text is made. What
can be refused has been refused before a stream begins.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from enum import Enum
from typing import Any

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from service.errors import InternalError, ServiceError
from service.log import request_id_of_context

logger = logging.getLogger(__name__)

EVENT_STREAM = "text/event-stream"
# What the log and the metrics say of a request whose client went away; it is never sent.
CLIENT_GONE = 499
HEARTBEAT = b": still working\n\n"
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

StreamEvent = tuple[str, Mapping[str, Any]]


# Line ends to many a reader of lines, though not to JSON or to the event stream format.
_LINE_ENDS = {end: f"\\u{ord(end):04x}" for end in "\x85\u2028\u2029"}


def encode_event(event_id: int, name: str, data: Mapping[str, Any]) -> bytes:
    """One event. Every line end within is escaped, so that `data` is one line to every reader."""
    body = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for end, escaped in _LINE_ENDS.items():
        body = body.replace(end, escaped)
    return f"id: {event_id}\nevent: {name}\ndata: {body}\n\n".encode()


class EventStreamResponse(Response):
    """Sends the events of an iterator as they come; `close` is called once, however the stream ends.

    The ends are: the last event; an exception, which becomes an `error` event; a client that is gone. A gone
    client is noticed at once, not at the next write, since there may be none for long.
    """

    media_type = EVENT_STREAM

    def __init__(
        self,
        events: AsyncGenerator[StreamEvent],
        close: Callable[[], None],
        heartbeat_seconds: float,
        on_failure: Callable[[int], None] = lambda status: None,
    ) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._events = events
        self._close = close
        self._heartbeat_seconds = heartbeat_seconds
        self._on_failure = on_failure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sender = asyncio.ensure_future(self._send_all(send))
        listener = asyncio.ensure_future(_wait_for_disconnect(receive))
        try:
            await asyncio.wait({sender, listener}, return_when=asyncio.FIRST_COMPLETED)
            # Closed first, so that the engine hears of it before anything else takes time.
            self._close()
            if not sender.done() or isinstance(sender.exception(), OSError):
                self._on_failure(CLIENT_GONE)
            else:
                sender.result()
        finally:
            self._close()
            await _cancel(listener)
            await _cancel(sender)

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self._chunks()) as chunks:
            async for chunk in chunks:
                await send(_body(chunk, more=True))
        await send(_body(b"", more=False))

    async def _chunks(self) -> AsyncGenerator[bytes]:
        """Encoded events, a heartbeat for every silence, and an `error` event for an exception."""
        event_id = 0
        try:
            async with aclosing(with_heartbeat(self._events, self._heartbeat_seconds)) as events:
                async for event in events:
                    if event is None:
                        yield HEARTBEAT
                        continue
                    event_id += 1
                    yield encode_event(event_id, *event)
        except Exception as error:
            yield encode_event(event_id + 1, "error", self._problem(error))

    def _problem(self, error: Exception) -> Mapping[str, Any]:
        if not isinstance(error, ServiceError):
            logger.exception("stream failed")
            error = InternalError("The translation failed; it can be tried again.")
        self._on_failure(error.status)
        return error.problem(request_id_of_context.get() or "")


class _End(Enum):
    OF_EVENTS = "of events"


_Ready = asyncio.Queue[StreamEvent | None | _End]


async def with_heartbeat(
    events: AsyncGenerator[StreamEvent], silence_seconds: float
) -> AsyncGenerator[StreamEvent | None]:
    """The events, and None whenever none has come for `silence_seconds`. Closes `events` at its end.

    One task and one timer for a whole stream: for each event they would cost more than the rest of its way.
    """
    async with aclosing(events):
        ready: _Ready = asyncio.Queue()  # of a client that reads slowly, more than one event
        reader = asyncio.ensure_future(_read(events, ready))
        pulse = _Pulse(ready, silence_seconds)
        try:
            while not isinstance(event := await ready.get(), _End):
                pulse.heard()
                yield event
            await reader  # raises what `events` has raised
        finally:
            pulse.stop()
            await _cancel(reader)


async def _read(events: AsyncGenerator[StreamEvent], ready: _Ready) -> None:
    try:
        async for event in events:
            ready.put_nowait(event)
    finally:
        ready.put_nowait(_End.OF_EVENTS)


class _Pulse:
    """Puts None among the events when nothing has been heard for so long and nothing is ready."""

    def __init__(self, ready: _Ready, silence_seconds: float) -> None:
        self._ready, self._silence_seconds = ready, silence_seconds
        self._loop = asyncio.get_running_loop()
        self.heard()
        self._timer = self._loop.call_later(silence_seconds, self._look)

    def heard(self) -> None:
        self._last = self._loop.time()

    def stop(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        now = self._loop.time()
        if now >= self._last + self._silence_seconds:
            self._last = now
            if self._ready.empty():
                self._ready.put_nowait(None)
        self._timer = self._loop.call_at(self._last + self._silence_seconds, self._look)


async def _wait_for_disconnect(receive: Receive) -> None:
    message: Message = {}
    while message.get("type") != "http.disconnect":
        message = await receive()


async def _cancel(task: asyncio.Future[Any]) -> None:
    """Cancel a task and wait until it has ended; how it ended does not matter here."""
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
    if not task.cancelled():
        task.exception()  # looked at, or the event loop would report it as forgotten


def _body(chunk: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": chunk, "more_body": more}
