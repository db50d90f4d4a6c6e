"""Requests at a set rate, whether or not the server keeps up, and users who wait for answers: their outcomes.

Knows: clocks, a door that answers a status. Must not know: HTTP, what is asked, what the numbers are for.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from loadtests.traffic.arrivals import POISSON, moments

# Sends the request with this number; answers the status.
StatusDoor = Callable[[int], Awaitable[int]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request. Times are seconds since the run began; `due` is when it should have been sent."""

    number: int
    due: float
    sent: float
    answered: float
    status: int

    @property
    def latency(self) -> float:
        return self.answered - self.sent

    @property
    def lateness(self) -> float:
        """How far the load program itself was behind."""
        return self.sent - self.due


async def at_moments(
    send: Callable[[int, float, float], Awaitable[T]],
    moments: Iterable[float],
    began: float,
    most_waiting: int | None = None,
) -> list[T]:
    """`send(number, began, due)` at each of `moments`, whether or not earlier ones have ended; all results.

    Moments are seconds since `began`, a moment of `time.perf_counter`. Nothing more is sent once more than
    `most_waiting` have not ended: the server has lost by then.
    """
    running: list[asyncio.Future[T]] = []
    for number, due in enumerate(moments):
        await asyncio.sleep(max(0.0, began + due - time.perf_counter()))
        if most_waiting is not None and number % 8 == 0 and _waiting(running) > most_waiting:
            break
        running.append(asyncio.ensure_future(send(number, began, due)))
    return await asyncio.gather(*running)


async def offered(
    door: StatusDoor, rate: float, seconds: float, seed: int, most_waiting: int | None = None
) -> list[Outcome]:
    """`rate` requests a second for so long, at random moments (Poisson), and all their answers.

    `most_waiting` as `at_moments` has it.
    """

    async def send(number: int, began: float, due: float) -> Outcome:
        return await _send(door, number, began, due)

    return await at_moments(send, moments(POISSON, rate, seconds, seed), time.perf_counter(), most_waiting)


def _waiting(running: Sequence[asyncio.Future[T]]) -> int:
    return sum(not task.done() for task in running)


async def waiting_users(door: StatusDoor, num_users: int, seconds: float) -> list[Outcome]:
    """Each of `num_users` sends, waits for the answer and sends again; what was answered in time counts."""
    began, numbers = time.perf_counter(), itertools.count()
    outcomes: list[Outcome] = []

    async def user() -> None:
        while (now := time.perf_counter() - began) < seconds:
            outcomes.append(await _send(door, next(numbers), began, now))

    await asyncio.gather(*(user() for _ in range(num_users)))
    return outcomes


async def _send(door: StatusDoor, number: int, began: float, due: float) -> Outcome:
    sent = time.perf_counter() - began
    status = await door(number)
    return Outcome(number, due, sent, time.perf_counter() - began, status)
