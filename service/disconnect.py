"""Ends work whose client has gone, on routes that answer in one piece.

A stream finds out when it writes; an answer in one piece is written only once it is complete, so somebody has
to listen meanwhile. Knows ASGI messages; must not know what the work is.
"""

import asyncio
import contextlib
from collections.abc import Coroutine
from functools import partial
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive

Result = TypeVar("Result")


async def unless_disconnected(receive: Receive, work: Coroutine[Any, Any, Result]) -> Result:
    """The work's result; raises ClientDisconnect, the work cancelled, when the client goes away before it.

    The request's body must have been read: the next message is then the client's going.
    """
    listening = asyncio.ensure_future(_disconnected(receive))
    try:
        # The work is done here: in a task of its own, each request would pay for the making of one.
        async with asyncio.timeout(None) as stay:
            listening.add_done_callback(partial(_end, stay))
            return await work
    except TimeoutError:
        if not stay.expired():
            raise
        raise ClientDisconnect from None
    finally:
        listening.cancel()


def _end(stay: asyncio.Timeout, _: object) -> None:
    with contextlib.suppress(RuntimeError):  # it is over already: the answer came with the client's going
        stay.reschedule(0.0)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
