"""Percentiles, medians, windows, token equality and lags count what they say."""

from __future__ import annotations

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.closed_loop import Answered, Window, closed_loop, summary
from loadtests.engine_watch import EngineWatch
from loadtests.measures import medians, percentile
from loadtests.precision import token_equality
from loadtests.stream_lag import Streamed, lags


@given(st.lists(st.integers(-100, 100), min_size=1), st.floats(0.01, 1.0))
def test_a_percentile_is_the_smallest_sample_with_enough_below_it(samples: list[int], share: float) -> None:
    found = percentile(samples, share)
    assert found in samples
    assert sum(sample <= found for sample in samples) >= share * len(samples) - 1e-9
    assert sum(sample < found for sample in samples) < share * len(samples) + 1e-9


def test_percentiles_of_a_hundred_and_of_none() -> None:
    hundred = list(range(1, 101))
    assert [percentile(hundred, share) for share in (0.0, 0.5, 0.99, 1.0)] == [1, 50, 99, 100]
    assert math.isnan(percentile([], 0.5))


def test_medians_are_taken_name_by_name() -> None:
    rounds = [{"a": 1.0, "b": 9.0}, {"a": 3.0, "b": 7.0}, {"a": 2.0, "b": 8.0}]
    assert medians(rounds) == {"a": 2.0, "b": 8.0}
    assert medians([]) == {}


def test_a_summary_is_per_second_and_in_milliseconds() -> None:
    answered = [Answered(0.0, latency / 1000, 5) for latency in (10, 20, 30, 40)]
    assert summary(answered, 2.0) == {
        "sentences_per_second": 2.0,
        "tokens_per_second": 10.0,
        "p50_ms": 20.0,
        "p99_ms": 40.0,
    }


def test_users_wait_for_their_answer_and_send_all_sentences_in_turn() -> None:
    sent: list[int] = []
    waiting = most_waiting = 0

    async def door(index: int) -> int:
        nonlocal waiting, most_waiting
        sent.append(index)
        waiting += 1
        most_waiting = max(most_waiting, waiting)
        await asyncio.sleep(0)
        waiting -= 1
        return 1

    calls: list[str] = []
    hooks = (lambda: calls.append("open"), lambda: calls.append("close"))
    found = asyncio.run(closed_loop(door, 3, 5, Window(0.0, 1.0), *hooks))
    assert (most_waiting, calls) == (3, ["open", "close"])
    assert sent[:10] == [0, 1, 2, 3, 4] * 2
    assert found["sentences_per_second"] == found["tokens_per_second"] > 0


def test_an_account_of_the_engine_counts_only_between_begin_and_end() -> None:
    watch = EngineWatch()
    watch.step("decode", 9.0, 99, 9)
    watch.begin()
    watch.step("encode", 1.0, 2, 5)
    watch.step("decode", 2.0, 8, 0)
    watch.step("decode", 1.0, 4, 6)
    watch.end()
    watch.step("decode", 9.0, 99, 9)
    account = watch.account()
    assert (account["rows_per_step"], account["segments_per_encoding"]) == (6, 2)
    assert (account["encoder_share"], account["masked_positions_per_step"]) == (0.25, 3)
    assert math.isnan(account["scheduler_share"])
    watch.begin()
    watch.step("decode", 3.0, 8, 0)
    watch.step("schedule", 1.0, 8, 0)
    watch.end()
    assert watch.account()["scheduler_share"] == 0.25


@pytest.mark.parametrize(
    ("answers", "share"),
    [
        ([[1, 2, 3]], 1.0),
        ([[1, 2]], 2 / 4),
        ([[1, 9, 3]], 3 / 4),
        ([[]], 0.0),
    ],
    ids=str,
)
def test_token_equality_counts_positions_and_the_end(answers: list[list[int]], share: float) -> None:
    assert token_equality(answers, [[1, 2, 3]]) == share


def test_a_share_of_a_text_is_sent_with_the_step_that_completes_it() -> None:
    streamed = Streamed(sent=(0, 0, 1, 2, 4, 4), at_ms=(1, 2, 3, 4, 5, 6))
    assert [streamed.step_of(share) for share in (0.0, 0.25, 0.5, 0.75, 1.0)] == [3, 3, 4, 5, 5]


def test_the_lag_is_what_greedy_has_sent_more_after_each_step() -> None:
    beam = Streamed((0, 0, 3, 4), (0, 0, 0, 0))
    greedy = Streamed((1, 2, 2), (0, 0, 0))
    assert lags(beam, greedy) == [1, 2, -1, -2]
