"""Moments of an open loop: on time, as often as was asked, the same for the same seed."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.traffic.arrivals import ARRIVALS, BURST_FACTOR, BURST_SECONDS, BURSTS, CONSTANT, moments

KINDS = sorted(ARRIVALS)


@given(st.sampled_from(KINDS), st.floats(0.5, 200), st.floats(0.1, 20), st.integers(0, 99))
def test_moments_ascend_within_their_time_and_repeat_for_a_seed(
    arrivals: str, rate: float, seconds: float, seed: int
) -> None:
    found = list(moments(arrivals, rate, seconds, seed))
    assert found == sorted(found)
    assert all(0 <= moment < seconds for moment in found)
    assert found == list(moments(arrivals, rate, seconds, seed))


@pytest.mark.parametrize("arrivals", KINDS)
def test_as_many_come_as_the_rate_says(arrivals: str) -> None:
    count = sum(1 for _ in moments(arrivals, 50.0, 300.0, 1))
    assert count == pytest.approx(50 * 300, rel=0.05)


def test_constant_moments_are_as_far_apart_as_one_another() -> None:
    found = list(moments(CONSTANT, 10.0, 3.0, 0))
    assert all(after - before == pytest.approx(0.1) for before, after in itertools.pairwise(found))


def test_bursts_leave_the_rest_of_each_period_empty() -> None:
    within = [moment % BURST_SECONDS for moment in moments(BURSTS, 20.0, 60.0, 0)]
    assert max(within) < BURST_SECONDS / BURST_FACTOR
