"""Measured speed: what backlog and `Retry-After` are computed from."""

from __future__ import annotations

import pytest

from service.engine.speed import FIRST_GUESS, HALF_LIFE_SECONDS, Speedometer


def test_before_any_measurement_a_guess_stands_in() -> None:
    assert Speedometer().seconds_for(int(FIRST_GUESS)) == pytest.approx(1.0)


def test_a_steady_speed_is_found() -> None:
    speed = Speedometer()
    for _ in range(6_000):
        speed.record(0.05, 40)
    assert speed.tokens_per_second == pytest.approx(800, rel=0.01)
    assert speed.seconds_for(1_600) == pytest.approx(2.0, rel=0.01)


def test_a_change_of_speed_is_half_learned_in_a_half_life() -> None:
    speed = Speedometer()
    for _ in range(6_000):
        speed.record(0.1, 100)
    for _ in range(round(HALF_LIFE_SECONDS / 0.1)):
        speed.record(0.1, 200)
    assert speed.tokens_per_second == pytest.approx(1_500, rel=0.01)


def test_a_standstill_never_divides_by_zero() -> None:
    speed = Speedometer()
    speed.record(100_000.0, 0)
    assert speed.seconds_for(10) == pytest.approx(10_000)
