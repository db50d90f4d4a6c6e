"""An event loop whose clock jumps to the next timer instead of waiting for it.

Knows asyncio. For scenarios in which nothing but the loop itself is waited for.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

Result = TypeVar("Result")


class _Impatient(selectors.DefaultSelector):
    """Waiting takes no time but what it adds to `now`."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Sequence[Any]:
        assert timeout is not None, "nothing will ever happen any more"
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time` starts at 0."""

    def __init__(self) -> None:
        self._clock = _Impatient()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def run_in_virtual_time(scenario: Coroutine[Any, Any, Result]) -> Result:
    """The scenario's result; its sleeps and timers take no real time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(scenario)


async def settle(turns: int = 6) -> None:
    """Let all that is ready run."""
    for _ in range(turns):
        await asyncio.sleep(0)
