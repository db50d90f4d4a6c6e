"""Heads of requests over real sockets: read whole, in pieces, one behind the other, and not without end."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fastapi import FastAPI, Request
from starlette.types import Receive

from service.http_protocol import MAX_HEAD_BYTES
from tests.end_to_end.live_server import live_server

PATIENCE = 30.0


class Waiting:
    """What a request to `/wait` hears: that it has begun, and that its client is gone."""

    def __init__(self) -> None:
        self.begun, self.gone = threading.Event(), threading.Event()

    async def hear(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            self.begun.set()
        self.gone.set()


@pytest.fixture(scope="module")
def waiting() -> Waiting:
    return Waiting()


@pytest.fixture(scope="module")
def port(waiting: Waiting) -> Iterator[int]:
    """Of a server that answers with the size of what it was sent."""
    app = FastAPI()

    @app.get("/wait")
    async def wait(request: Request) -> None:
        await waiting.hear(request.receive)

    @app.post("/size")
    async def size(request: Request) -> dict[str, int]:
        return {"body": len(await request.body()), "head": sum(map(len, request.headers.values()))}

    with live_server(app) as server:
        yield server.listener.getsockname()[1]


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        yield connection


def head(*, body_bytes: int = 0, filler: int = 0, closing: bool = True) -> bytes:
    lines = [
        "POST /size HTTP/1.1",
        "Host: here",
        f"Content-Length: {body_bytes}",
        f"X-Filler: {'f' * filler}",
    ]
    return "\r\n".join([*lines, *(["Connection: close"] if closing else []), "", ""]).encode()


def everything(connection: socket.socket) -> bytes:
    """What comes until the server closes the connection."""
    answer = b""
    while chunk := connection.recv(65_536):
        answer += chunk
    return answer


def test_a_head_that_comes_byte_by_byte_is_read(port: int) -> None:
    with connected(port) as connection:
        for byte in head(filler=50):
            connection.sendall(bytes([byte]))
        assert everything(connection).startswith(b"HTTP/1.1 200 ")


def send_without_end(connection: socket.socket, piece: bytes) -> None:
    """Until the server has closed the connection. Raises ConnectionError then."""
    for _ in range(100_000):
        connection.sendall(piece)


def test_a_head_beyond_the_bound_is_refused_with_the_bound(port: int) -> None:
    with connected(port) as connection:
        # The first piece is not counted; of what is sent behind the last nothing would be read.
        for piece in (b"POST /size HTTP/1.1\r\n", b"X-More: " + b"m" * MAX_HEAD_BYTES, b"m"):
            connection.sendall(piece)
            time.sleep(0.2)
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert str(MAX_HEAD_BYTES).encode() in answer


@pytest.mark.parametrize(
    "piece", [b"X-More: " + b"m" * 500 + b"\r\n", b"m" * 500], ids=["headers", "a header"]
)
def test_a_head_without_end_costs_the_client_its_connection(port: int, piece: bytes) -> None:
    with connected(port) as connection:
        connection.sendall(b"POST /size HTTP/1.1\r\nX-First: ")
        with pytest.raises(ConnectionError):
            send_without_end(connection, piece)


def test_a_head_just_within_the_bound_is_read(port: int) -> None:
    with connected(port) as connection:
        connection.sendall(head(filler=MAX_HEAD_BYTES - 200))
        assert everything(connection).startswith(b"HTTP/1.1 200 ")


def test_a_long_body_is_no_head_nor_are_heads_that_follow_one_another(port: int) -> None:
    with connected(port) as connection:
        one = head(body_bytes=3 * MAX_HEAD_BYTES, filler=MAX_HEAD_BYTES // 2, closing=False)
        last = head(filler=MAX_HEAD_BYTES // 2)
        connection.sendall((one + b"b" * 3 * MAX_HEAD_BYTES) * 3 + last)
        assert everything(connection).count(b"HTTP/1.1 200 ") == 4


def test_what_is_not_http_is_refused(port: int) -> None:
    with connected(port) as connection:
        connection.sendall(b"what is this\r\n\r\n")
        assert everything(connection).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("is_behind", [False, True], ids=["at once", "while the first runs"])
def test_of_a_client_that_goes_the_request_that_runs_hears_whatever_stands_behind_it(
    port: int, waiting: Waiting, is_behind: bool
) -> None:
    waiting.begun.clear()
    waiting.gone.clear()
    first, more = b"GET /wait HTTP/1.1\r\nHost: here\r\n\r\n", head(closing=False) * 2
    with connected(port) as connection:
        connection.sendall(first if is_behind else first + more)
        assert waiting.begun.wait(PATIENCE)
        if is_behind:
            connection.sendall(more)
            time.sleep(0.2)
    assert waiting.gone.wait(PATIENCE)


def test_of_requests_without_end_no_more_than_some_are_read_ahead(port: int, waiting: Waiting) -> None:
    waiting.begun.clear()
    with connected(port) as connection:
        connection.sendall(b"GET /wait HTTP/1.1\r\nHost: here\r\n\r\n")
        assert waiting.begun.wait(PATIENCE)
        connection.settimeout(1.0)
        with pytest.raises(TimeoutError):
            send_without_end(connection, head(filler=MAX_HEAD_BYTES // 2, closing=False))
