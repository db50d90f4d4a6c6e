"""A call that blocks, in a thread of its own, awaited on the event loop.

A daemon thread: a server that is told to stop waits neither for a model that loads nor for a file system
that does not answer, as it would for those of asyncio's own threads. Knows threads; must not know what is
called.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

Result = TypeVar("Result")


def aside(call: Callable[[], Result]) -> asyncio.Future[Result]:
    """Done when the call is, with what it returns or raises. The log knows the request it was made for."""
    loop, context = asyncio.get_running_loop(), contextvars.copy_context()
    future: asyncio.Future[Result] = loop.create_future()

    def settle(result: Result | None, error: BaseException | None) -> None:
        if future.done():  # nobody waits any more
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type]
        else:
            future.set_exception(error)

    def run() -> None:
        result, error = None, None
        try:
            result = context.run(call)
        except BaseException as raised:
            error = raised
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="verto-aside", daemon=True).start()
    return future
