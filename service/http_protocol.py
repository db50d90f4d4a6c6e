"""How HTTP is read from a connection: by httptools, with a bound on the head of a request, never upgraded.

Knows the web server's protocol class; must not know what is asked or answered.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.request_parser import RequestParser

MAX_HEAD_BYTES = 64 * 1024  # of lines and headers before a body; proxies allow less


class BoundedHttpProtocol(HttpToolsProtocol):
    """The parser keeps what it has of a head until that ends: without a bound, all that a client sends."""

    parser: RequestParser
    _head_bytes = 0
    _is_in_head = False

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.parser = RequestParser(self)

    def data_received(self, data: bytes) -> None:
        """More of the connection. Counted is what brings a head no nearer to its end, from the second piece
        on: the first may be for the most part the body of the request before."""
        head = self.headers
        super().data_received(data)
        if self._is_in_head and self.headers is head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response(f"The head of a request has at most {MAX_HEAD_BYTES} bytes.")

    def on_message_begin(self) -> None:
        """The parser has seen the first byte of a request."""
        self._is_in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The parser has seen the end of a request's head."""
        self._is_in_head = False
        if not self.parser.offers_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The parser has seen the end of a request."""
        if not self.parser.offers_upgrade():
            super().on_message_complete()
