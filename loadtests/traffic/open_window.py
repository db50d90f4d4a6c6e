"""One window of an open loop: requests when they are due, whether or not the server keeps up.

Knows: moments, a sender. Must not know: what comes before and after.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from uvicorn.loops.auto import auto_loop_factory

from loadtests.open_loop import at_moments
from loadtests.traffic.arrivals import moments
from loadtests.traffic.samples import Sample
from loadtests.traffic.sender import Sender
from loadtests.traffic.windows import Level, Window

T = TypeVar("T")

START_SECONDS = 0.05  # between the decision to begin and the first moment
WARM_REQUESTS = 48


def open_window(
    sender: Sender,
    level: Level,
    seconds: float,
    warm_up_seconds: float,
    number: int,
    seed: int,
    most_waiting: int | None = None,
) -> Window:
    """The window with this number among its level's; nothing of the load is left when it returns.

    Nothing more is sent once more than `most_waiting` requests have no answer.
    """

    async def load() -> Window:
        began = time.perf_counter() + START_SECONDS + warm_up_seconds
        began_at = time.time() + START_SECONDS + warm_up_seconds
        due = moments(level.arrivals, level.amount, warm_up_seconds + seconds, seed + number)
        from_warm_up = (moment - warm_up_seconds for moment in due)
        samples = await at_moments(sender.send, from_warm_up, began, most_waiting)
        return Window(level, number, began_at, seconds, samples)

    gc.freeze()  # a search for garbage among all that was imported would count as the server's latency
    return finished(sender, load)


def warm(sender: Sender) -> Sequence[Sample]:
    """A few requests of every kind at once, so that no window pays for what a server does only once."""

    async def ask() -> list[Sample]:
        began = time.perf_counter()
        return await asyncio.gather(*(sender.send(number, began, 0.0) for number in range(WARM_REQUESTS)))

    return finished(sender, ask)


def finished(sender: Sender, load: Callable[[], Awaitable[T]]) -> T:
    """What the load comes to, on the event loop that servers have; the sender's connections end with it."""

    async def whole() -> T:
        asyncio.get_running_loop().set_exception_handler(_tell_unless_stopped)
        try:
            return await load()
        finally:
            sender.close()

    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        return runner.run(whole())


def _tell_unless_stopped(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A signal may end the program in the midst of any callback; that is no fault of the callback's."""
    if not isinstance(context.get("exception"), SystemExit):
        loop.default_exception_handler(context)
