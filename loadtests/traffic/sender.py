"""Sends numbered requests and makes samples of what comes back: for loads that asyncio drives.

Knows: connections, HTTP/1.1 answers with a length or in chunks. Must not know: when requests are due.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping

from loadtests.http_client import Connections
from loadtests.traffic.address import Address
from loadtests.traffic.answers import CUT, OK, StreamReading, judged
from loadtests.traffic.kinds import STREAM
from loadtests.traffic.requests import PATH, Asked, Traffic
from loadtests.traffic.samples import FAILED, Sample, Verdict

TIMED_OUT, NO_CONNECTION = "timed out", "no connection"


class Sender:
    """Many requests at once to one server; each ends after `timeout_seconds` at the latest."""

    def __init__(self, address: Address, traffic: Traffic, timeout_seconds: float) -> None:
        self._connections = Connections(address.host, address.port, address.is_tls)
        self._traffic, self._timeout_seconds = traffic, timeout_seconds
        lines = {"Host": address.netloc, "Content-Type": "application/json", **address.headers}
        self._head = f"POST {address.prefix}{PATH} HTTP/1.1\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in lines.items()
        )

    async def send(self, number: int, began: float, due: float) -> Sample:
        """The request with this number; moments are seconds since `began` (`time.perf_counter`)."""
        asked = self._traffic.request(number)
        answer = _Answer(asked)
        sent = time.perf_counter() - began
        verdict = await self._verdict(asked, answer)
        ended = time.perf_counter() - began
        arrivals = tuple(moment - began for moment in answer.stream.arrivals)
        return Sample(asked.kind, due, sent, ended, answer.status, verdict, asked.characters, arrivals)

    async def _verdict(self, asked: Asked, answer: _Answer) -> Verdict:
        request = f"{self._head}Content-Length: {len(asked.body)}\r\n\r\n".encode() + asked.body
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._connections.converse(request, answer.read)
        except TimeoutError:
            return Verdict(FAILED, TIMED_OUT)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, LookupError):
            if answer.stream.is_over:
                return answer.stream.verdict
            return Verdict(FAILED, CUT if answer.status else NO_CONNECTION)

    def close(self) -> None:
        self._connections.close()


class _Answer:
    """The answer to one request while it is read. `status` is 0 until it has come."""

    def __init__(self, asked: Asked) -> None:
        self._asked, self.status, self.stream = asked, 0, StreamReading()

    async def read(self, reader: asyncio.StreamReader) -> tuple[Verdict, bool]:
        """What it comes to, and whether the connection may be used again."""
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): text.strip() for name, _, text in fields}
        self.status = int(first.split()[1])
        keep = headers.get("connection", "").lower() != "close"
        body = bytearray()
        is_stream = self.status == OK and self._asked.kind == STREAM
        async for piece in _pieces(reader, headers):
            if is_stream:
                self.stream.feed(piece, time.perf_counter())
            else:
                body += piece
        return self.stream.verdict if is_stream else judged(self.status, bytes(body), self._asked), keep


async def _pieces(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> AsyncIterator[bytes]:
    """The content as it comes. Raises `IncompleteReadError` where it is cut off."""
    if "chunked" not in headers.get("transfer-encoding", ""):
        yield await reader.readexactly(int(headers["content-length"]))
        return
    while size := int(await reader.readuntil(b"\r\n"), 16):
        yield (await reader.readexactly(size + 2))[:-2]
    await reader.readuntil(b"\r\n")
