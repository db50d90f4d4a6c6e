"""How a request's body comes in: at most so many bytes, and not waited for without end.

A client may be silent for so long and no longer; of a server that drains, no body is waited for at all: it
would be refused once it was there. Knows bytes, time and the server's life; must not know what a body says.
"""

from __future__ import annotations

import asyncio
import contextlib

from starlette.requests import Request

from service.errors import FieldFault, RequestTimeout, RequestTooLarge
from service.lifecycle import Lifecycle


class Intake:
    """One per server. Used from the event loop only."""

    def __init__(self, max_bytes: int, silence_seconds: float, lifecycle: Lifecycle) -> None:
        self._max_bytes, self._silence_seconds = max_bytes, silence_seconds
        self._lifecycle = lifecycle
        self._arriving: set[asyncio.Timeout] = set()
        lifecycle.when_draining(self._end_waiting)

    async def read(self, request: Request) -> bytes:
        """The body. Raises RequestTooLarge, RequestTimeout, Draining, ClientDisconnect."""
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > self._max_bytes:
            raise self._too_large(int(announced))
        patience = asyncio.timeout(self._silence_seconds)
        self._arriving.add(patience)
        try:
            async with patience:
                return await self._chunks(request, patience)
        except TimeoutError:
            self._lifecycle.require_translator()  # a drain has an answer of its own
            raise self._too_slow() from None
        finally:
            self._arriving.discard(patience)

    async def _chunks(self, request: Request, patience: asyncio.Timeout) -> bytes:
        """Counted while they come, so that a body without a length is bounded too."""
        chunks: list[bytes] = []
        size, now = 0, asyncio.get_running_loop().time
        async for chunk in request.stream():
            size += len(chunk)
            if size > self._max_bytes:
                raise self._too_large(size)
            if chunk:
                chunks.append(chunk)
                patience.reschedule(now() + self._silence_seconds)
        return b"".join(chunks)

    def _end_waiting(self) -> None:
        for patience in self._arriving:
            with contextlib.suppress(RuntimeError):  # it is over already
                patience.reschedule(0.0)

    def _too_large(self, size: int) -> RequestTooLarge:
        fault = FieldFault("body", f"at most {self._max_bytes} bytes", size)
        return RequestTooLarge("The request body is too large.", faults=[fault])

    def _too_slow(self) -> RequestTimeout:
        bound = f"sent without a pause of {self._silence_seconds:g} s"
        fault = FieldFault("body", bound, "a longer pause")
        # What may still come of the body must not be taken for another request.
        headers = {"Connection": "close"}
        return RequestTimeout("The rest of the request did not come.", faults=[fault], headers=headers)
