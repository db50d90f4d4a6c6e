"""A parser of requests for which HTTP/1.1 is the only protocol: what else a client offers is declined.

httptools ends a request that offers an upgrade (`Upgrade: h2c`, as Java's HttpClient and `curl --http2` send)
with its head, as if the other protocol began there. Its body would be lost, and taken for the next request.
RFC 9110, section 7.8, wants the offer ignored; so such a head is read once more without it.

Knows httptools and the lines of a head; must not know who answers.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Protocol

import httptools

_CONNECTION, _UPGRADE = b"connection", b"upgrade"
_UPGRADE_SETTINGS = b"http2-settings"  # of use to nobody who declines

Headers = Sequence[tuple[bytes, bytes]]


class Listener(Protocol):
    """Hears of requests, keeps the head of the present one (names in lower case), and has the parser."""

    url: bytes
    headers: list[tuple[bytes, bytes]]
    parser: RequestParser


class RequestParser(httptools.HttpRequestParser):
    """Tells its listener of a request that offers an upgrade twice: the first time only up to the head's end.

    That time, `offers_upgrade` says so in `on_headers_complete` and in the `on_message_complete` behind it.
    Such a request leaves the parser unable to go on, where it is to be the last; so another takes its place.
    """

    def __init__(self, listener: Listener) -> None:
        super().__init__(listener)
        self._listener = listener
        # As uvicorn does: what comes behind the last request of a connection is not worth an error.
        self.set_dangerous_leniencies(lenient_data_after_close=True)

    def offers_upgrade(self) -> bool:
        """Whether the request must be read again. What follows CONNECT is never HTTP: that is left alone."""
        return self.should_upgrade() and self.get_method() != b"CONNECT"

    def feed_data(self, data: bytes | bytearray | memoryview | array[int]) -> None:
        """More of the connection; any number of requests may be in it."""
        parser, rest = self, memoryview(data)
        while (offered_at := parser._feed(rest)) is not None:
            parser, rest = parser._successor(), rest[offered_at:]

    def _feed(self, data: memoryview) -> int | None:
        """Where an offered protocol would begin, if it did."""
        try:
            super().feed_data(data)
        except httptools.HttpParserUpgrade as error:
            if self.offers_upgrade():
                return int(error.args[0])
            raise
        return None

    def _successor(self) -> RequestParser:
        """A parser that has read the same head without the offer."""
        told, version = self._listener, self.get_http_version().encode()
        first = b"%s %s HTTP/%s" % (self.get_method(), told.url, version)
        head = b"\r\n".join([first, *map(b": ".join, without_upgrade(told.headers)), b"", b""])
        told.parser = RequestParser(told)
        told.parser._feed(memoryview(head))
        return told.parser


def without_upgrade(headers: Headers) -> Headers:
    """The headers without the offer; of `Connection` everything else stays."""
    kept = []
    for name, value in headers:
        if name == _CONNECTION:
            kept.append((name, _without_token(value)))
        elif name not in (_UPGRADE, _UPGRADE_SETTINGS):
            kept.append((name, value))
    return kept


def _without_token(connection: bytes) -> bytes:
    tokens = [token.strip() for token in connection.split(b",")]
    return b", ".join(one for one in tokens if one.lower() not in (_UPGRADE, _UPGRADE_SETTINGS))
