"""A window says how long answers took, and when a server cannot keep up."""

from __future__ import annotations

import asyncio
import math

from loadtests.live_load.window import summary, window
from loadtests.open_loop import Outcome


def outcome(due: float, latency: float, status: int = 200, late: float = 0.0) -> Outcome:
    return Outcome(0, due, due + late, due + latency, status)


def test_latencies_count_from_the_moment_that_was_due() -> None:
    found = summary(10.0, [outcome(1.0, 0.25, late=0.2), outcome(2.0, 0.5), outcome(3.0, 0.1, 429)], False)
    assert (found.answered, found.failed) == (2, 1)
    assert (round(found.p50_ms), round(found.p99_ms), round(found.lateness_p99_ms)) == (250, 500, 200)
    assert not found.holds(1000.0)
    assert math.isnan(summary(10.0, [], False).p50_ms)
    assert not summary(10.0, [], False).holds(1000.0)


def test_a_bound_is_of_the_slowest_hundredth() -> None:
    found = summary(10.0, [outcome(float(n), 0.1 if n else 0.9) for n in range(50)], False)
    assert (found.holds(901.0), found.holds(899.0)) == (True, False)


def test_offering_ends_where_the_server_has_lost() -> None:
    async def run() -> None:
        stuck, asked = asyncio.Event(), 0

        async def door(number: int) -> int:
            nonlocal asked
            asked += 1
            if asked == 2.5 * 100 + 1:
                asyncio.get_running_loop().call_later(1.0, stuck.set)
            await stuck.wait()
            return 200

        found = await window(door, rate=100.0, seconds=60.0, seed=1, warm_up_seconds=0.0)
        assert found.given_up
        assert not found.holds(math.inf)

    asyncio.run(asyncio.wait_for(run(), 20.0))


def test_a_server_that_keeps_up_holds() -> None:
    async def door(number: int) -> int:
        return 200

    found = asyncio.run(window(door, rate=200.0, seconds=0.5, seed=2, warm_up_seconds=0.1))
    assert found.holds(1000.0)
    assert not found.given_up
    assert 50 < found.answered < 200
