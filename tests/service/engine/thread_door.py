"""A thread engine for the length of a test: gates that hold its steps, and ways to wait for what it does."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import torch

from model.decoding import DecodingOptions
from model.network import EagerNetwork
from model.transformer import Transformer
from service.engine import (
    EngineConfig,
    EngineError,
    Event,
    FailedEvent,
    SegmentEvents,
)
from service.engine.thread_engine import ThreadEngine
from tests.builders import tiny_model

SHORT = DecodingOptions(strategy="greedy", max_length=10)
BEAM = DecodingOptions(beam_size=4, max_length=10)
ENDLESS = DecodingOptions(strategy="greedy", min_length=60)  # 64 steps
ONE_TOKEN = DecodingOptions(strategy="greedy", max_length=1)
SECONDS = 20.0  # nothing here takes so long, unless it hangs


class Gate:
    """Holds the engine's thread before each decode step until the test lets it pass."""

    def __init__(self, model: Transformer) -> None:
        self._step, self._permits, self._open = model.decode_step, threading.Semaphore(0), False
        self.arrived = threading.Semaphore(0)
        self.failure: Exception | None = None
        model.decode_step = self._guarded  # type: ignore[method-assign]

    def _guarded(self, *arguments: Any) -> torch.Tensor:
        self.arrived.release()
        if not self._open:
            assert self._permits.acquire(timeout=SECONDS)
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        return self._step(*arguments)

    async def wait_for_step(self) -> None:
        """Until the engine stands before a step."""
        assert await asyncio.to_thread(self.arrived.acquire, timeout=SECONDS)

    def pass_one(self) -> None:
        self._permits.release()

    async def pass_few(self, until: Callable[[], bool]) -> None:
        """Let steps pass until it is so: the one at hand, the next, and what messages take to get through."""
        for _ in range(5):
            if until():
                return
            self.pass_one()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(_until(until), 0.2)
        assert until()

    def open(self) -> None:
        self._open = True
        self._permits.release(100)  # a child that was killed may stand here as well


@contextlib.contextmanager
def running(model: Transformer | None = None, **limits: Any) -> Iterator[ThreadEngine]:
    config = EngineConfig(**{"max_rows": 8, **limits})
    engine = ThreadEngine(EagerNetwork(model or tiny_model(1)), config)
    try:
        yield engine
    finally:
        engine.close()


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, SECONDS))


async def collect(events: SegmentEvents) -> list[Event]:
    return [event async for event in events]


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for happens in another thread
        await asyncio.sleep(0.002)


_until = until  # where a parameter has this name


def failure_of(events: list[Event]) -> EngineError:
    assert isinstance(events[-1], FailedEvent)
    return events[-1].error
