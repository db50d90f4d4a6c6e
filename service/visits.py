"""Which requests are being answered, and which models each of them may still use.

A model can be taken away once nobody who came before its end may use it any more. Until a request says what
it uses, it may use everything: what has not been told cannot be forgotten. Knows counts and models as mere
objects; must not know HTTP or why anybody waits. Used from the event loop only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager


class Visit:
    """One request, for as long as it is being answered, its stream included."""

    __slots__ = ("_models", "_visits")

    def __init__(self, visits: Visits) -> None:
        self._visits = visits
        self._models: tuple[object, ...] | None = None

    def uses(self, models: Iterable[object]) -> None:
        """From now on no other models than these are used."""
        self._models = tuple(models)
        self._visits._changed()

    def may_use(self, model: object) -> bool:
        """Whether the model must not be taken away yet."""
        return self._models is None or any(one is model for one in self._models)


class Visits:
    """All that run at the moment."""

    def __init__(self) -> None:
        self._running: set[Visit] = set()
        self._waiting: set[asyncio.Event] = set()

    def __len__(self) -> int:
        return len(self._running)

    @contextmanager
    def visit(self) -> Iterator[Visit]:
        """Counts one request until the block is left."""
        visit = Visit(self)
        self._running.add(visit)
        try:
            yield visit
        finally:
            self._running.remove(visit)
            self._changed()

    async def wait_until_none(self, timeout_seconds: float) -> bool:
        """Wait for the last one; False when some still run after `timeout_seconds`."""
        return await self._wait(lambda: bool(self._running), timeout_seconds)

    async def wait_until_left(self, model: object, timeout_seconds: float) -> bool:
        """Wait for those that run now and may use the model: who comes later is not waited for.

        False when some still do after `timeout_seconds`.
        """
        present = list(self._running)

        def goes_on() -> bool:
            present[:] = [one for one in present if one in self._running and one.may_use(model)]
            return bool(present)

        return await self._wait(goes_on, timeout_seconds)

    async def _wait(self, goes_on: Callable[[], bool], timeout_seconds: float) -> bool:
        news = asyncio.Event()
        self._waiting.add(news)
        try:
            async with asyncio.timeout(timeout_seconds):
                while goes_on():
                    news.clear()
                    await news.wait()
        except TimeoutError:
            return not goes_on()
        finally:
            self._waiting.remove(news)
        return True

    def _changed(self) -> None:
        for news in self._waiting:
            news.set()
