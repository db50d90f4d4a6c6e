"""A call that blocks holds up neither the event loop nor the end of the process."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar

import pytest

from service.hosting.aside import aside

NAME: ContextVar[str] = ContextVar("name", default="")


def test_the_loop_goes_on_and_hears_what_is_returned_or_raised() -> None:
    async def story() -> None:
        gate = threading.Event()
        waiting = aside(lambda: gate.wait(60))
        await asyncio.sleep(0)
        gate.set()
        assert await waiting is True
        with pytest.raises(ZeroDivisionError):
            await aside(lambda: 1 // 0)

    asyncio.run(story())


def test_the_call_knows_the_context_it_was_made_in() -> None:
    async def story() -> None:
        NAME.set("this request")
        assert await aside(NAME.get) == "this request"

    asyncio.run(story())


def test_nobody_minds_a_call_that_ends_after_who_waited_or_after_the_loop() -> None:
    gate = threading.Event()

    async def story() -> list[threading.Thread]:
        before = set(threading.enumerate())
        waiting, forgotten = aside(lambda: gate.wait(60)), aside(lambda: gate.wait(60))
        waiting.cancel()
        await asyncio.sleep(0)
        assert waiting.cancelled()
        assert not forgotten.done()
        return [one for one in threading.enumerate() if one not in before]

    threads = asyncio.run(story())
    assert len(threads) == 2
    assert all(thread.daemon for thread in threads)
    gate.set()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
