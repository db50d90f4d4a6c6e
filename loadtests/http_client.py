"""Posts JSON over connections that are kept open: little work per request, so that servers are measured.

Knows HTTP/1.1 as far as JSON answers with a length need it. Must not know what is posted.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any


class JsonClient:
    """One pool of connections to one server. Raises `ConnectionError` for any status but 200."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post(self, path: str, content: dict[str, Any]) -> Any:
        """The answer's JSON."""
        body = json.dumps(content).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        status, answer = await self._exchange(head.encode() + body)
        if status != 200:
            raise ConnectionError(f"status {status}: {answer.decode(errors='replace')[:200]}")
        return json.loads(answer)

    async def _exchange(self, request: bytes) -> tuple[int, bytes]:
        """Over an idle connection, or a new one where the server has closed that meanwhile."""
        while self._idle:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                return await self._over(self._idle.pop(), request)
        try:
            return await self._over(await asyncio.open_connection(self._host, self._port), request)
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

    async def close(self) -> None:
        for _, writer in self._idle:
            writer.close()
        self._idle.clear()


async def _read(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value for name, _, value in (line.partition(":") for line in head[1:])}
    return int(head[0].split()[1]), await reader.readexactly(int(headers["content-length"]))
