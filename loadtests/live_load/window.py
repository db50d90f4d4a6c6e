"""One window of load: requests at random moments at a set rate, and how long their answers took.

Knows: open loops, percentiles. Must not know: which server it is, what is looked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from loadtests.measures import percentile
from loadtests.open_loop import Outcome, StatusDoor, offered

TRANSLATED = 200
# With more without an answer than come in so many seconds, latencies are above that whatever happens next.
LOST_SECONDS = 2.5
FEWEST_WAITING = 24


@dataclass(frozen=True, slots=True)
class Window:
    """Latencies in milliseconds, from the moment when a request was due; NaN where nothing was answered."""

    rate: float
    answered: int
    failed: int  # another status than 200
    given_up: bool  # the server was so far behind that offering ended early
    p50_ms: float
    p99_ms: float
    lateness_p99_ms: float  # of the load program itself, part of the above

    def holds(self, bound_ms: float) -> bool:
        """Every request was answered, and 99 of 100 within the bound."""
        return not self.failed and not self.given_up and self.answered > 0 and self.p99_ms < bound_ms


async def window(
    door: StatusDoor, rate: float, seconds: float, seed: int, warm_up_seconds: float = 2.0
) -> Window:
    """Requests that were due within the warm-up do not count, the rest all do."""
    most_waiting = max(FEWEST_WAITING, round(LOST_SECONDS * rate))
    outcomes = await offered(door, rate, warm_up_seconds + seconds, seed, most_waiting)
    await asyncio.sleep(
        min(0.2, warm_up_seconds)
    )  # what a server does behind its last answer is not the next window's
    last_due = max((one.due for one in outcomes), default=0.0)
    given_up = last_due < warm_up_seconds + seconds - max(1.0, 20.0 / rate)
    return summary(rate, [one for one in outcomes if one.due >= warm_up_seconds], given_up)


def summary(rate: float, outcomes: Sequence[Outcome], given_up: bool) -> Window:
    latencies = [1000 * (one.answered - one.due) for one in outcomes if one.status == TRANSLATED]
    return Window(
        rate=rate,
        answered=len(latencies),
        failed=len(outcomes) - len(latencies),
        given_up=given_up,
        p50_ms=percentile(latencies, 0.5),
        p99_ms=percentile(latencies, 0.99),
        lateness_p99_ms=percentile([1000 * one.lateness for one in outcomes], 0.99),
    )
