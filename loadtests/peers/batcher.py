"""Requests that wait are translated together: a batch as soon as there is room, or enough have come.

Knows: asyncio, a function that translates texts. Must not know: what stands behind that, HTTP.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from loadtests.peers.ctranslate2_texts import Translated

Translate = Callable[[Sequence[str]], Iterator[Translated]]
_Waiting = tuple[str, "asyncio.Future[Translated]"]


@dataclass(frozen=True, slots=True)
class Batching:
    """A batch goes off with `max_texts` texts, or when the first of them has waited for `wait_seconds`.

    `in_flight` batches are out at once: with one, those that come meanwhile gather for the next; with two,
    the next one is prepared while the first computes.
    """

    max_texts: int = 32
    wait_seconds: float = 0.0
    in_flight: int = 1


class Batcher:
    """Belongs to the event loop that it is made in."""

    def __init__(self, translate: Translate, batching: Batching) -> None:
        self._translate, self._batching = translate, batching
        self._waiting: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._threads = ThreadPoolExecutor(batching.in_flight, "batch")
        self._loops = [asyncio.create_task(self._serve()) for _ in range(batching.in_flight)]

    async def translate(self, text: str) -> Translated:
        answer: asyncio.Future[Translated] = asyncio.get_running_loop().create_future()
        self._waiting.append((text, answer))
        self._arrived.set()
        return await answer

    async def close(self) -> None:
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        self._threads.shutdown()

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = await self._next()
            if batch:
                await loop.run_in_executor(self._threads, self._answer, batch, loop)

    async def _next(self) -> list[_Waiting]:
        """Empty where another loop was faster."""
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        if len(self._waiting) < self._batching.max_texts and self._batching.wait_seconds:
            await asyncio.sleep(self._batching.wait_seconds)
        count = min(len(self._waiting), self._batching.max_texts)
        return [self._waiting.popleft() for _ in range(count)]

    def _answer(self, batch: Sequence[_Waiting], loop: asyncio.AbstractEventLoop) -> None:
        """In a thread: tokenise, translate, hand out."""
        try:
            translated = self._translate([text for text, _ in batch])
            for (_, answer), one in zip(batch, translated, strict=True):
                loop.call_soon_threadsafe(_settle, answer, one)
        except Exception as error:
            for _, answer in batch:
                loop.call_soon_threadsafe(_fail, answer, error)


def _settle(answer: asyncio.Future[Translated], one: Translated) -> None:
    if not answer.done():  # whoever asked may have gone
        answer.set_result(one)


def _fail(answer: asyncio.Future[Translated], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
