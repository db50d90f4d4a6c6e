"""Users who each send a sentence, wait for its translation and send the next: a closed loop.

Knows: a door that translates one sentence, clocks. Must not know: what stands behind the door.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from loadtests.measures import percentile

# Translates the sentence with this index; answers the number of target tokens.
Door = Callable[[int], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Window:
    """How long users send before anything counts, and how long it counts then."""

    warm_up_seconds: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Answered:
    at: float
    latency_seconds: float
    target_tokens: int


async def closed_loop(
    door: Door,
    num_users: int,
    num_sentences: int,
    window: Window,
    on_open: Callable[[], None] = lambda: None,
    on_close: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """What `num_users` see within the window; `on_open` and `on_close` are called at its ends.

    All sentences are sent in turn, whoever is free taking the next, so every door gets the same mix.
    """
    answered: list[Answered] = []
    turns = itertools.count()
    opens = time.perf_counter() + window.warm_up_seconds
    closes = opens + window.seconds

    async def user() -> None:
        while (began := time.perf_counter()) < closes:
            tokens = await door(next(turns) % num_sentences)
            now = time.perf_counter()
            answered.append(Answered(now, now - began, tokens))

    async def bell() -> None:
        await asyncio.sleep(window.warm_up_seconds)
        on_open()
        await asyncio.sleep(window.seconds)
        on_close()

    await asyncio.gather(bell(), *(user() for _ in range(num_users)))
    return summary([one for one in answered if opens <= one.at <= closes], window.seconds)


def summary(answered: Sequence[Answered], seconds: float) -> dict[str, float]:
    latencies = [one.latency_seconds * 1000 for one in answered]
    return {
        "sentences_per_second": len(answered) / seconds,
        "tokens_per_second": sum(one.target_tokens for one in answered) / seconds,
        "p50_ms": percentile(latencies, 0.5),
        "p99_ms": percentile(latencies, 0.99),
    }
