"""How HTTP is read from a connection: by httptools, a head in bounds and in time, never upgraded; and for how
long an answer waits for a client that does not read it.

Knows the web server's protocol class; must not know what is asked or answered.
"""

from __future__ import annotations

import asyncio
import fcntl
import sys
import termios
import uuid
from contextlib import suppress
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from service.errors import FieldFault, RequestTimeout
from service.request_parser import RequestParser

MAX_HEAD_BYTES = 64 * 1024  # of lines and headers before a body; proxies allow less
MAX_READ_AHEAD = 8  # requests that a client may have sent before the one before them is answered


def bounded_protocol(read_timeout_seconds: float) -> type[BoundedHttpProtocol]:
    """The protocol of a server that waits so long for clients which stop in the midst of a request."""
    given = {"read_timeout_seconds": read_timeout_seconds}
    return type(BoundedHttpProtocol.__name__, (BoundedHttpProtocol,), given)


class BoundedHttpProtocol(HttpToolsProtocol):
    """The parser keeps what it has of a head until that ends: without a bound, all that a client sends.

    Nor would anything end a connection whose client stops sending: the class above only minds those that are
    kept open between two requests, and whoever answers minds only a body that it reads.
    """

    read_timeout_seconds: float
    parser: RequestParser
    _head_bytes = 0
    _is_in_head = False
    _is_in_body = False
    _patience: asyncio.TimerHandle | None = None
    _running: RequestResponseCycle | None = None
    _reading: asyncio.TimerHandle | None = None

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.parser = RequestParser(self)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there."""
        super().connection_made(transport)
        self._wait_anew()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone. The class above tells the request that came last, which may still be waiting its turn:
        the one before it would be worked on to its end, and answered into a closed connection."""
        self._stop_waiting()
        self._stop_minding_reader()
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """More of the connection. Counted is what brings a head no nearer to its end, from the second piece
        on: the first may be for the most part the body of the request before."""
        head = self.headers
        super().data_received(data)
        if self._is_in_head and self.headers is head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response(f"The head of a request has at most {MAX_HEAD_BYTES} bytes.")
        self._mind_client(has_moved_on=self._is_in_body or self.headers is not head)

    def on_message_begin(self) -> None:
        """The parser has seen the first byte of a request."""
        self._is_in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The parser has seen the end of a request's head."""
        self._is_in_head = False
        if not self.parser.offers_upgrade():
            self._is_in_body = True
            super().on_headers_complete()
            # The class above reads no further while another request runs: nor would it see its client go.
            if 0 < len(self.pipeline) <= MAX_READ_AHEAD:
                self.flow.resume_reading()

    def on_message_complete(self) -> None:
        """The parser has seen the end of a request."""
        if not self.parser.offers_upgrade():
            self._is_in_body = False
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer is out. Between two requests the class above waits, and longer."""
        super().on_response_complete()
        if self._is_in_head or self._is_in_body:
            self._mind_client(has_moved_on=True)

    def pause_writing(self) -> None:
        """More is written than the client has taken. One that takes nothing at all would keep its request,
        whose deadline it does not hear of, and with it the end of the server."""
        super().pause_writing()
        self._mind_reader()

    def resume_writing(self) -> None:
        """It has taken enough of it."""
        self._stop_minding_reader()
        super().resume_writing()

    def _mind_reader(self) -> None:
        left = _unread_bytes(self.transport)
        self._reading = self.loop.call_later(self.read_timeout_seconds, self._look_at_reader, left)

    def _look_at_reader(self, left_before: int) -> None:
        if _unread_bytes(self.transport) == left_before:
            self.transport.abort()  # closed in order, it would wait for the rest to be read
        else:
            self._mind_reader()

    def _stop_minding_reader(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle  # one at a time, in the order in which they came
        super()._start_asgi_task(cycle, app)

    @property
    def _is_answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _mind_client(self, *, has_moved_on: bool) -> None:
        """It is waited for where only it can go on; not while a request is answered, nor its body read."""
        if not (self._is_in_head or self._is_answered):
            self._stop_waiting()
        elif has_moved_on or self._patience is None:
            self._wait_anew()

    def _wait_anew(self) -> None:
        self._stop_waiting()
        if not self.transport.is_closing():
            self._patience = self.loop.call_later(self.read_timeout_seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        """Half a head is told so; nobody waits for an answer who has asked for nothing, or has one."""
        if not self._is_answered:  # the head is of the next request: the answer before it comes first
            self._wait_anew()
            return
        self._patience = None
        if self._is_in_head and not self.transport.is_closing():
            self._send_408_response()
        self.transport.close()

    def _send_408_response(self) -> None:
        bound = f"sent within {self.read_timeout_seconds:g} s"
        fault = FieldFault("head", bound, "half of it")
        headers = {"Connection": "close", "X-Request-ID": (request_id := uuid.uuid4().hex)}
        error = RequestTimeout("The rest of the request did not come.", faults=[fault], headers=headers)
        answer = error.response(request_id)
        lines = [*self.server_state.default_headers, *answer.raw_headers]
        head = STATUS_LINE[answer.status_code] + b"".join(b"%s: %s\r\n" % line for line in lines)
        self.transport.write(head + b"\r\n" + bytes(answer.body))


def _unread_bytes(transport: asyncio.Transport) -> int:
    """Of what was written, what the other side has not confirmed; a slow client's megabyte lies in the kernel
    for minutes. Where the system does not tell that, only what has not been handed to it."""
    unread = transport.get_write_buffer_size()
    with suppress(OSError):
        connection = transport.get_extra_info("socket").fileno()
        unread += int.from_bytes(fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    return unread
