"""Over real sockets: clients that stop while they send or read are not waited for without end."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import StreamingResponse

from service.app import create_app
from service.settings import Settings
from tests.end_to_end.live_server import LiveServer, live_server
from tests.fakes import fake_translator
from tests.service.test_http_protocol import everything
from tests.service.test_serving import PATIENCE, running

LIMIT = 1.0
SLOW_SECONDS = 3 * LIMIT
LONG_CHUNKS, LONG_CHUNK_BYTES = 200, 100_000  # more than any socket's buffers hold
GET = b"GET /health/live HTTP/1.1\r\nHost: here\r\n"
POST = b"POST /v1/translate HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\n"


def app() -> FastAPI:
    """The service, and an address that is answered longer than clients may be silent."""
    made = create_app(fake_translator(), Settings(read_timeout_seconds=LIMIT))

    @made.get("/slow")
    async def slow() -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            await asyncio.sleep(SLOW_SECONDS)
            yield b"<slow>"

        return StreamingResponse(chunks())

    @made.get("/long")
    async def long() -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(LONG_CHUNKS):
                yield bytes(LONG_CHUNK_BYTES)

        return StreamingResponse(chunks())

    return made


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with live_server(app(), LIMIT) as server:
        yield server


@contextmanager
def connected(server: Any) -> Iterator[socket.socket]:
    with socket.create_connection(httpx.URL(server.url).netloc.decode().split(":"), PATIENCE) as connection:
        yield connection


def answer_to(server: LiveServer, *pieces: bytes) -> bytes:
    """All that comes until the server closes the connection, which it has to."""
    with connected(server) as connection:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.05)
        return everything(connection)


def problem_of(answer: bytes) -> dict[str, Any]:
    head, _, body = answer.rpartition(b"\r\n\r\n")
    assert b"\r\nconnection: close" in head.lower()
    problem: dict[str, Any] = json.loads(body)
    assert problem["request_id"].encode() in head
    return problem


def value(server: Any, metric: str) -> float:
    lines = httpx.get(server.url + "/metrics", timeout=PATIENCE).text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(metric + " "))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("pieces", [(), (b"\r\n",), (b"\r\n", b"\r\n")], ids=["nothing", "a line end", "two"])
def test_whoever_asks_for_nothing_loses_the_connection_without_a_word(
    server: LiveServer, pieces: tuple[bytes, ...]
) -> None:
    assert answer_to(server, *pieces) == b""


def test_half_a_head_is_answered_with_the_limit(server: LiveServer) -> None:
    problem = problem_of(answer_to(server, GET))
    assert (problem["status"], problem["code"]) == (408, "request_timeout")
    assert problem["errors"] == [{"field": "head", "bound": "sent within 1 s", "value": "half of it"}]


def trickle(connection: socket.socket) -> None:
    """A byte of a head at a time, each well within the limit."""
    connection.sendall(GET + b"X-More: ")
    for _ in range(int(PATIENCE / 0.1)):
        connection.sendall(b"m")
        time.sleep(0.1)


def test_a_head_that_trickles_has_no_more_time(server: LiveServer) -> None:
    with connected(server) as connection, pytest.raises(ConnectionError):
        trickle(connection)


def test_half_a_body_is_answered_and_counted(server: LiveServer) -> None:
    counted = 'verto_requests_total{code="408",pair="none",route="/v1/translate"}'
    before = value(server, counted)
    problem = problem_of(answer_to(server, POST, b"{"))
    assert (problem["status"], problem["code"]) == (408, "request_timeout")
    assert problem["errors"][0]["field"] == "body"
    wait_until(lambda: value(server, counted) == before + 1)
    assert value(server, "verto_running_requests") == 1  # the one that asks


def test_a_client_that_goes_while_it_sends_is_counted_as_gone(server: LiveServer) -> None:
    counted = 'verto_requests_total{code="499",pair="none",route="/v1/translate"}'
    before = value(server, counted)
    with connected(server) as connection:
        connection.sendall(POST + b"{")
        time.sleep(0.1)
    wait_until(lambda: value(server, counted) == before + 1)


def test_a_body_that_nobody_reads_is_not_waited_for(server: LiveServer) -> None:
    answer = answer_to(server, GET + b"Content-Length: 100\r\n\r\n", b"x", b"x")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.count(b"HTTP/1.1 ") == 1


def test_whoever_waits_for_an_answer_may_be_silent(server: LiveServer) -> None:
    slow = b"GET /slow HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
    assert b"<slow>" in answer_to(server, slow)


def test_half_a_head_behind_a_request_waits_for_that_ones_answer(server: LiveServer) -> None:
    slow = b"GET /slow HTTP/1.1\r\nHost: here\r\n\r\n"
    answer = answer_to(server, slow, GET)
    assert answer.index(b"HTTP/1.1 200 ") < answer.index(b"<slow>") < answer.index(b"HTTP/1.1 408 ")


def test_a_connection_kept_open_between_requests_has_longer(server: LiveServer) -> None:
    with httpx.Client(timeout=PATIENCE) as client:
        client.get(server.url + "/health/live")
        time.sleep(2 * LIMIT)
        (kept,) = client._transport._pool.connections  # type: ignore[attr-defined]
        assert not kept.has_expired()


def long_answer(server: LiveServer) -> socket.socket:
    """A connection on which one has been asked for; nothing of it has been read."""
    host, port = httpx.URL(server.url).netloc.decode().split(":")
    connection = socket.create_connection((host, port), PATIENCE)
    connection.sendall(GET.replace(b"/health/live", b"/long") + b"Connection: close\r\n\r\n")
    return connection


def test_an_answer_that_nobody_reads_is_not_kept_for_ever(server: LiveServer) -> None:
    with long_answer(server):
        wait_until(lambda: value(server, "verto_running_requests") == 2)  # the other one asks for this
        wait_until(lambda: value(server, "verto_running_requests") == 1)


def test_whoever_reads_slowly_has_all_the_time(server: LiveServer) -> None:
    with long_answer(server) as connection:
        until, size = time.monotonic() + SLOW_SECONDS, 0
        while time.monotonic() < until:
            size += len(connection.recv(20_000))
            time.sleep(LIMIT / 5)
        assert size + len(everything(connection)) > LONG_CHUNKS * LONG_CHUNK_BYTES


def test_a_drain_does_not_wait_for_bodies_that_are_still_to_come() -> None:
    with running() as stage:
        stage.loaded.set()
        stage.wait_for_status("/health/ready", 200)
        with connected(stage) as one, connected(stage) as two, connected(stage) as silent:
            for connection in (one, two):
                connection.sendall(POST + b"{")
            silent.sendall(GET)
            # The one that asks is among them.
            wait_until(lambda: value(stage, "verto_running_requests") == 3)
            began = time.monotonic()
            stage.signal()
            answers = [everything(connection) for connection in (one, two, silent)]
            stage.wait_until(lambda: stage.engine.is_closed)
            assert time.monotonic() - began < PATIENCE / 2
    assert [problem_of(answer)["code"] for answer in answers[:2]] == ["draining"] * 2
    assert all(b"\r\nretry-after: 5\r\n" in answer.lower() for answer in answers[:2])
    assert answers[2] == b""
    assert not stage.server.force_exit
