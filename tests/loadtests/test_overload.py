"""Load that does not wait for answers, what is counted of it, and a short run against a real server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from loadtests.open_loop import Outcome, offered, waiting_users
from loadtests.overload import Plan, Round, counted, finding, measure, report
from loadtests.servers import running_server
from loadtests.subject import SHIPPED

SERVED = ("--models-dir", str(SHIPPED), "--num-threads", "1", "--log-level", "warning")
PLAN = Plan(rounds=2, seconds=10.0, warm_up_share=0.2, timeout_seconds=5.0)


def outcome(number: int, sent: float, answered: float, status: int = 200) -> Outcome:
    return Outcome(number, sent - 0.5, sent, answered, status)


def test_what_is_offered_does_not_wait_for_answers() -> None:
    async def run() -> list[Outcome]:
        arrived, all_there = set[int](), asyncio.Event()

        async def door(number: int) -> int:
            arrived.add(number)
            if len(arrived) == 20:
                all_there.set()
            await all_there.wait()
            return 429 if number % 2 else 200

        return await offered(door, rate=2_000.0, seconds=0.05, seed=1)

    outcomes = asyncio.run(run())
    assert [one.number for one in outcomes] == list(range(len(outcomes)))
    assert 60 <= len(outcomes) <= 140
    assert [one.due for one in outcomes] == sorted(one.due for one in outcomes)
    assert all(one.lateness >= 0 and one.latency >= 0 for one in outcomes)
    assert {one.status for one in outcomes} == {200, 429}


def test_users_wait_for_their_answers() -> None:
    running = most = 0

    async def door(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        return 200

    outcomes = asyncio.run(waiting_users(door, 3, 0.05))
    assert most == 3
    assert sorted(one.number for one in outcomes) == list(range(len(outcomes)))


def test_only_what_comes_in_time_and_after_the_warm_up_counts() -> None:
    outcomes = [
        outcome(0, 0.0, 1.9),  # the queue was still filling
        outcome(1, 0.0, 2.0),
        outcome(2, 3.0, 7.9),
        outcome(3, 3.0, 8.1),  # after its deadline
        outcome(4, 9.0, 10.0),  # after the end
        outcome(5, 5.0, 5.1, 429),
    ]
    assert counted(PLAN, outcomes) == 2 / 8
    assert counted(PLAN, outcomes, lambda number: 10 * number) == 30 / 8


def test_a_finding_keeps_refusals_apart_from_failures() -> None:
    outcomes = [*(outcome(n, 1.0, 1.0 + n / 1000, 429) for n in range(1, 101)), outcome(0, 3.0, 8.1, 504)]
    outcomes += [outcome(0, 3.0, 4.0), outcome(0, 3.0, 5.0), outcome(0, 3.0, 9.0)]
    rounds = [Round(10.0, 9.0, 100.0), Round(10.0, 8.0, 100.0), Round(10.0, 5.0, 100.0)]
    found = finding(PLAN, rounds, outcomes)
    assert found.goodput_share == 0.8
    assert (found.refused_p50_ms, found.refused_p99_ms) == pytest.approx((50.0, 99.0))
    assert (found.accepted, found.accepted_in_time, found.in_time_share) == (4, 2, 0.5)
    assert found.lateness_p99_ms == pytest.approx(500.0)
    assert found.statuses == {429: 100, 504: 1, 200: 3}
    (table,) = report(PLAN, found, {}).tables
    assert ["goodput over peak, median", "80%", "at least 90 %"] in table.rows


@pytest.mark.slow
def test_an_overloaded_server_refuses_quickly_and_goes_on_working(tmp_path: Path) -> None:
    """Generous bounds: what is wanted of a machine of its own stands in loadtests/results."""
    plan = Plan(rounds=1, users=32, seconds=5.0, timeout_seconds=6.0)
    with running_server("cli.main", "serve", *SERVED) as port:
        found = asyncio.run(measure(f"http://127.0.0.1:{port}", plan))
    assert found.statuses.keys() <= {200, 429, 504}
    assert found.statuses[429] > found.statuses[200] > 0
    assert found.refused_p50_ms < 250
    assert found.goodput_share > 0.4
    assert found.in_time_share > 0.6
