"""The client keeps connections, opens new ones where a server has closed them, and says what went wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from loadtests.http_client import JsonClient, PreparedClient, post_request


class Server:
    """Answers what it was sent, `per_connection` times on each connection, with a status of choice."""

    def __init__(self, per_connection: int = 1000, status: int = 200) -> None:
        self.per_connection, self.status, self.connections = per_connection, status, 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        for _ in range(self.per_connection):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            writer.write(f"HTTP/1.1 {self.status} X\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()
        writer.close()


def with_client(server: Server, scenario: Callable[[JsonClient], Awaitable[None]]) -> None:
    async def run() -> None:
        listener = await asyncio.start_server(server.handle, "127.0.0.1", 0)
        client = JsonClient("127.0.0.1", listener.sockets[0].getsockname()[1])
        await scenario(client)
        await client.close()
        listener.close()
        await listener.wait_closed()

    asyncio.run(asyncio.wait_for(run(), 20))


def test_one_connection_serves_requests_in_turn_and_more_serve_those_at_once() -> None:
    server = Server()

    async def scenario(client: JsonClient) -> None:
        for number in range(5):
            assert await client.post("/", {"number": number, "text": "ä"}) == {"number": number, "text": "ä"}
        assert server.connections == 1
        answers = await asyncio.gather(*(client.post("/", {"number": number}) for number in range(4)))
        assert [answer["number"] for answer in answers] == [0, 1, 2, 3]
        assert server.connections == 4

    with_client(server, scenario)


def test_a_connection_that_the_server_closed_is_replaced() -> None:
    server = Server(per_connection=1)

    async def scenario(client: JsonClient) -> None:
        for number in range(3):
            assert await client.post("/", {"number": number}) == {"number": number}
        assert server.connections == 3

    with_client(server, scenario)


def test_another_status_is_an_error_that_quotes_the_answer() -> None:
    async def scenario(client: JsonClient) -> None:
        with pytest.raises(ConnectionError, match=r"status 503: .*hello"):
            await client.post("/", {"text": json.dumps("hello")})

    with_client(Server(status=503), scenario)


def test_prepared_requests_go_round_and_outlive_closed_connections() -> None:
    server = Server(per_connection=2, status=429)

    async def run() -> None:
        listener = await asyncio.start_server(server.handle, "127.0.0.1", 0)
        requests = [post_request("127.0.0.1", "/", {"number": number}) for number in range(3)]
        client = PreparedClient("127.0.0.1", listener.sockets[0].getsockname()[1], requests)
        assert [await client.status(number) for number in range(5)] == [429] * 5
        assert server.connections == 3
        client.close()
        listener.close()
        await listener.wait_closed()

    asyncio.run(asyncio.wait_for(run(), 20))
