"""Posts JSON over connections that are kept open: little work per request, so that servers are measured.

Knows HTTP/1.1 as far as JSON answers with a length need it. Must not know what is posted.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


class Connections:
    """One pool to one server; as many are made as are needed at once."""

    def __init__(self, host: str, port: int, tls: bool = False) -> None:
        self._host, self._port, self._tls = host, port, tls
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Status and content, over an idle connection, or a new one where the server has closed that
        meanwhile. Raises `ConnectionError`."""
        while self._idle:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                return await self._over(self._idle.pop(), request)
        try:
            return await self._over(await self._open(), request)
        except asyncio.IncompleteReadError as error:
            raise ConnectionError("the server closed a connection without an answer") from error

    async def _over(
        self, connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], request: bytes
    ) -> tuple[int, bytes]:
        reader, writer = connection
        try:
            writer.write(request)
            answer = await _read(reader)
        except BaseException:
            writer.close()
            raise
        self._idle.append(connection)
        return answer

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self._host, self._port, ssl=self._tls or None)

    async def converse(
        self, request: bytes, read: Callable[[asyncio.StreamReader], Awaitable[tuple[T, bool]]]
    ) -> T:
        """What `read` makes of the answer; it also says whether the connection may be used again.

        Sends once: over an idle connection that the server has not closed, else over a new one, so that a
        request whose answer is lost is lost. Raises `OSError` and what `read` raises.
        """
        reader, writer = self._not_closed() or await self._open()
        keep = False
        try:
            writer.write(request)
            answer, keep = await read(reader)
        finally:
            if keep:
                self._idle.append((reader, writer))
            else:
                writer.close()
        return answer

    def _not_closed(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        return None

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()
        self._idle.clear()


async def _read(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value for name, _, value in (line.partition(":") for line in head[1:])}
    return int(head[0].split()[1]), await reader.readexactly(int(headers["content-length"]))


def post_request(host: str, path: str, content: dict[str, Any]) -> bytes:
    """A whole request, ready to be sent as often as one likes."""
    body = json.dumps(content).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class JsonClient:
    """Questions to one server. Raises `ConnectionError` for any status but 200."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._connections = host, Connections(host, port)

    async def post(self, path: str, content: dict[str, Any]) -> Any:
        """The answer's JSON."""
        status, answer = await self._connections.exchange(post_request(self._host, path, content))
        if status != 200:
            raise ConnectionError(f"status {status}: {answer.decode(errors='replace')[:200]}")
        return json.loads(answer)

    async def close(self) -> None:
        self._connections.close()


class PreparedClient:
    """Sends requests that were made beforehand and looks at nothing of an answer but its status."""

    def __init__(self, host: str, port: int, requests: Sequence[bytes]) -> None:
        self._connections, self._requests = Connections(host, port), requests

    async def status(self, number: int) -> int:
        """Of the request with this number, counted round. Raises `ConnectionError`."""
        status, _ = await self._connections.exchange(self._requests[number % len(self._requests)])
        return status

    def close(self) -> None:
        self._connections.close()
