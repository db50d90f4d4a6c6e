"""A server that misbehaves on request: cuts streams, refuses, stalls. In a thread, over real sockets.

Knows HTTP/1.1 and event streams. Must not know who asks.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

MODELS = {
    "object": "list",
    "data": [{"id": "fake", "directions": [["de", "en"], ["en", "de"]], "dtype": "f"}],
}
TOKENS = 5
METRICS = "# TYPE verto_running_rows gauge\nverto_running_rows 7\nverto_backlog_seconds 0.25\nother 1\n"


@dataclass
class FakeServer:
    """`behaviour(number, body)` says what becomes of each translation; see `_Answerer`."""

    behaviour: Callable[[int, Any], str] = lambda number, body: "well"
    pause_seconds: float = 0.05  # between events of a stream
    models: Any = field(default_factory=lambda: MODELS)
    models_status: int = 200
    metrics_status: int = 200
    bodies: list[Any] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)
    port: int = 0
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def at_most(per_second: float) -> Callable[[int, Any], str]:
    """A behaviour: what comes beyond so many in half a second is refused."""
    came: list[float] = []

    def behaviour(number: int, body: Any) -> str:
        now, most = time.monotonic(), int(per_second / 2)
        if len(came) >= most and now - came[-most] < 0.5:
            return "429"
        came.append(now)
        return "well"

    return behaviour


@contextlib.contextmanager
def running(server: FakeServer) -> Iterator[FakeServer]:
    """On a free port until the block is left."""
    started, stops = threading.Event(), list[Callable[[], object]]()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                while await _Answerer(server, reader, writer).one():
                    pass
        finally:
            writer.close()

    async def serve() -> None:
        over, loop = asyncio.Event(), asyncio.get_running_loop()
        stops.append(lambda: loop.call_soon_threadsafe(over.set))
        async with await asyncio.start_server(handle, "127.0.0.1", 0) as listener:
            server.port = listener.sockets[0].getsockname()[1]
            started.set()
            await over.wait()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0.02)  # closing a connection takes the loop two more turns

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield server
    finally:
        stops[0]()
        thread.join(10)
        assert not thread.is_alive()


@dataclass
class _Answerer:
    server: FakeServer
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def one(self) -> bool:
        """Answers one request; whether the connection stays open."""
        try:
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        except asyncio.IncompleteReadError:
            return False
        if head.startswith("GET"):
            return await self._get(head.split()[1])
        length = int(head.lower().split("content-length:")[1].split("\r\n")[0])
        body = json.loads(await self.reader.readexactly(length))
        self.server.bodies.append(body)
        self.server.headers.append(head)
        self.server.moments.append(time.monotonic())
        return await self._translate(self.server.behaviour(len(self.server.bodies) - 1, body), body)

    async def _get(self, path: str) -> bool:
        if path.endswith("/metrics"):
            return await self._whole(self.server.metrics_status, METRICS.encode())
        return await self._whole(self.server.models_status, json.dumps(self.server.models).encode())

    async def _whole(self, status: int, content: bytes) -> bool:
        later = "retry-after: 1\r\n" if status == 503 else ""
        head = f"HTTP/1.1 {status} X\r\n{later}content-length: {len(content)}\r\n\r\n"
        self.writer.write(head.encode() + content)
        await self.writer.drain()
        return True

    async def _translate(self, how: str, body: Any) -> bool:
        texts = body["text"] if isinstance(body["text"], list) else [body["text"]]
        if how.isdecimal():
            return await self._whole(int(how), b'{"code": "some"}')
        if how == "hang up":
            return False
        if how == "stall":
            await asyncio.sleep(3600)
        if body.get("stream"):
            return await self._stream(how)
        if how == "endless head":
            self.writer.write(b"HTTP/1.1 200 X\r\nx: " + bytes(200_000))
            return False
        if how == "no number":
            numbers = b'{"translations": [{"text": "t"}], "usage": {"target_tokens": Infinity}}'
            return await self._whole(200, numbers)
        if how == "deep":
            return await self._whole(200, b"[" * 100_000)
        if how == "cut":
            self.writer.write(b"HTTP/1.1 200 X\r\ncontent-length: 100\r\n\r\n{")
            return False
        count = len(texts) - (how == "lose one")
        answer: Any = {"translations": [{"text": "t"}] * count, "usage": {"target_tokens": TOKENS}}
        content = b"[]" if how == "malformed" else json.dumps(answer).encode()
        return await (self._drip(content) if how == "drip" else self._whole(200, content))

    async def _drip(self, content: bytes) -> bool:
        """Byte by byte: none is waited for longer than anybody waits, and the whole for several seconds."""
        self.writer.write(f"HTTP/1.1 200 X\r\ncontent-length: {len(content)}\r\n\r\n".encode())
        for number in range(len(content)):
            self.writer.write(content[number : number + 1])
            await self.writer.drain()
            await asyncio.sleep(0.05)
        return True

    async def _stream(self, how: str) -> bool:
        self.writer.write(b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n")
        self._event("start", {"id": "1"})
        for number in range(TOKENS):
            await self.writer.drain()
            await asyncio.sleep(self.server.pause_seconds)
            self._event("delta", {"text": f"{number} "})
            if number == 1 and how in ("cut", "reset", "stall midway", "comments for ever"):
                return await self._break(how)
        if how == "error":
            self._event("error", {"code": "deadline_passed", "status": 504})
        elif how != "end without done":
            self._event("done", {"usage": {"target_tokens": TOKENS}})
        if how == "no last chunk":
            return False
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()
        return True

    async def _break(self, how: str) -> bool:
        await self.writer.drain()
        await asyncio.sleep(self.server.pause_seconds)
        if how == "stall midway":
            await asyncio.sleep(3600)
        while how == "comments for ever":
            self._chunk(b": still working\n\n")
            await self.writer.drain()
            await asyncio.sleep(self.server.pause_seconds)
        if how == "reset":
            lingering = struct.pack("ii", 1, 0)
            self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, lingering)
        return False

    def _event(self, name: str, data: Any) -> None:
        self._chunk(f"id: 1\nevent: {name}\ndata: {json.dumps(data)}\n\n".encode())

    def _chunk(self, content: bytes) -> None:
        self.writer.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
