"""Offers of another protocol are ignored: whatever is sent, in however many pieces, nothing is lost."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Iterator

import httptools
import pytest
from fastapi import FastAPI, Request

from service.request_parser import RequestParser, without_upgrade
from tests.end_to_end.live_server import live_server
from tests.service.test_http_protocol import connected, everything

# As Java's HttpClient sends it.
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"
PLAIN = b"GET /last HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
BODY = b"GET /smuggled HTTP/1.1\r\nHost: here\r\n\r\n"


def request(path: bytes, body: bytes = BODY, offer: bytes = H2C, method: bytes = b"POST") -> bytes:
    size = b"Content-Length: %d\r\n" % len(body)
    return b"%s %s HTTP/1.1\r\nHost: here\r\n%s%s\r\n%s" % (method, path, size, offer, body)


def chunked(path: bytes, body: bytes = BODY) -> bytes:
    chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    return b"POST %s HTTP/1.1\r\nHost: here\r\n%s%s\r\n%s" % (path, CHUNKED, H2C, chunk)


class Hears:
    """Keeps what it hears of requests that are to be answered."""

    def __init__(self) -> None:
        self.parser = RequestParser(self)
        self.seen: list[tuple[bytes, bytes, bytes]] = []
        self.headers: list[tuple[bytes, bytes]] = []
        self.url = b""
        self._body = b""

    def on_message_begin(self) -> None:
        self.url, self.headers, self._body = b"", [], b""

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if not self.parser.offers_upgrade():
            self.seen.append((self.parser.get_method(), self.url, self._body))


PIPELINED = [
    (request(b"/one"), (b"POST", b"/one", BODY)),
    (chunked(b"/two"), (b"POST", b"/two", BODY)),
    (request(b"/three", b"", method=b"GET"), (b"GET", b"/three", b"")),
    (request(b"/four", offer=b""), (b"POST", b"/four", BODY)),
    (request(b"/five", offer=b"connection: upgrade\r\nupgrade: websocket\r\n"), (b"POST", b"/five", BODY)),
]


@pytest.mark.parametrize("seed", range(30))
def test_all_requests_are_read_whole_however_they_are_cut(seed: int) -> None:
    chance = random.Random(seed)
    sent = b"".join(one for one, _ in PIPELINED)
    cuts = sorted(chance.sample(range(1, len(sent)), seed))
    listener = Hears()
    for begin, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
        listener.parser.feed_data(sent[begin:end])
    assert listener.seen == [seen for _, seen in PIPELINED]


def test_thousands_of_offers_in_one_piece_are_read_one_after_the_other() -> None:
    listener = Hears()
    listener.parser.feed_data(request(b"/", b"b") * 3000)
    assert listener.seen == [(b"POST", b"/", b"b")] * 3000


def test_what_follows_connect_is_not_read_as_http() -> None:
    listener = Hears()
    with pytest.raises(httptools.HttpParserUpgrade):
        listener.parser.feed_data(b"CONNECT here:1 HTTP/1.1\r\nHost: here:1\r\n" + H2C + b"\r\n" + PLAIN)
    assert listener.seen == [(b"CONNECT", b"here:1", b"")]


def test_of_the_head_only_the_offer_is_taken_away() -> None:
    told = [(b"connection", b"close, Upgrade,HTTP2-Settings"), (b"upgrade", b"h2c"), (b"x-mine", b"a\xff b")]
    assert without_upgrade(told) == [(b"connection", b"close"), (b"x-mine", b"a\xff b")]


def test_a_request_in_an_older_version_stays_one() -> None:
    listener = Hears()
    for _ in range(2):
        listener.parser.feed_data(b"GET /old HTTP/1.0\r\n" + H2C + b"Connection: keep-alive\r\n\r\n")
    assert listener.seen == [(b"GET", b"/old", b"")] * 2
    assert listener.parser.get_http_version() == "1.0"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Of a server that answers every address with that and the body it was sent."""
    app = FastAPI()

    @app.api_route("/{name}", methods=["GET", "POST"])
    async def echo(name: str, request: Request) -> str:
        return f"<{name}:{(await request.body()).decode()}>"

    with live_server(app) as server:
        yield server.listener.getsockname()[1]


def send_slowly(connection: socket.socket, pieces: list[bytes]) -> None:
    """Each in a packet of its own."""
    for piece in pieces:
        connection.sendall(piece)
        time.sleep(0.1)


ONE = request(b"/one", b"hello")


@pytest.mark.parametrize(
    "pieces",
    [
        [ONE + PLAIN],
        [ONE, PLAIN],
        [ONE[:-5], b"hello", PLAIN],
        [ONE[:-5], b"hel", b"lo" + PLAIN],
        [ONE[:40], ONE[40:] + PLAIN],
        [ONE[:40], ONE[40:-7], ONE[-7:], PLAIN],
        [chunked(b"/one", b"hello") + PLAIN],
        [chunked(b"/one", b"hello")[:-12], chunked(b"/one", b"hello")[-12:], PLAIN],
        [request(b"/one", b"hello", H2C + b"Expect: 100-continue\r\n") + PLAIN],
    ],
    ids=["one packet", "two", "body", "split body", "head", "pieces", "chunked", "chunk", "100-continue"],
)
def test_over_a_socket_it_is_answered_as_without_the_offer(port: int, pieces: list[bytes]) -> None:
    with connected(port) as connection:
        send_slowly(connection, pieces)
        answer = everything(connection)
    assert answer.count(b"HTTP/1.1 200 ") == 2
    assert b"<one:hello>" in answer
    assert b"<last:>" in answer


def test_a_body_is_never_the_next_request(port: int) -> None:
    with connected(port) as connection:
        send_slowly(connection, [request(b"/one", BODY)[: -len(BODY)], BODY, PLAIN])
        answer = everything(connection)
    assert answer.count(b"HTTP/1.1 ") == 2
    assert b"<smuggled:" not in answer


def test_an_offer_that_also_says_close_ends_the_connection_behind_the_answer(port: int) -> None:
    offer = H2C.replace(b"Upgrade,", b"Upgrade, close,")
    with connected(port) as connection:
        connection.sendall(request(b"/one", b"hello", offer))
        assert b"<one:hello>" in everything(connection)


def test_connect_gets_a_refusal_and_ends_the_connection(port: int) -> None:
    with connected(port) as connection:
        connection.sendall(b"CONNECT here:80 HTTP/1.1\r\nHost: here:80\r\n\r\n" + PLAIN)
        answer = everything(connection)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert answer.startswith(b"HTTP/1.1 4")
