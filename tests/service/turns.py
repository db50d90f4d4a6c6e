"""Turns of an event loop until something has come about. Knows asyncio; must not know what is waited for."""

import asyncio
from collections.abc import Callable

TURNS, PATIENCE_SECONDS = 1_000, 30.0


async def until(condition: Callable[[], bool]) -> None:
    """Many turns at once, then by the clock, for what threads and processes bring about."""
    for _ in range(TURNS):
        if condition():
            return
        await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE_SECONDS):
        for _ in iter(condition, True):
            await asyncio.sleep(0.01)
