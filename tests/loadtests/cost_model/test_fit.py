"""The fit finds the formula that made the points, and tells where points do not follow it."""

from __future__ import annotations

import itertools
import random

import pytest

from loadtests.cost_model.fit import CostModel, Point, bends, fitted, median_error

TRUE = CostModel((200e-6, 10e-9, 60e-6, 50e-9, 40e-9, 2e-9))
SIZES = list(itertools.product((1, 4, 16, 64), (3, 25, 100), (5, 100), (1_000, 8_000, 32_000)))


def points_of(model: CostModel, noise: float = 0.0) -> list[Point]:
    rng = random.Random(0)
    return [Point(*size, model.seconds(*size) * (1 + noise * rng.uniform(-1, 1))) for size in SIZES]


def test_the_formula_that_made_the_points_is_found() -> None:
    found = fitted(points_of(TRUE))
    assert found.coefficients == pytest.approx(TRUE.coefficients, rel=1e-6)
    assert median_error(found, points_of(TRUE)) < 1e-9


def test_noise_moves_it_little() -> None:
    found = fitted(points_of(TRUE, noise=0.05))
    assert all(abs(found.error(point)) < 0.15 for point in points_of(TRUE))


def test_a_term_that_costs_nothing_is_zero_and_none_is_below() -> None:
    free = CostModel((200e-6, 0.0, 60e-6, 0.0, 0.0, 2e-9))
    found = fitted(points_of(free, noise=0.05))
    assert min(found.coefficients) >= 0.0
    assert all(abs(found.error(point)) < 0.15 for point in points_of(free))


def test_points_beside_the_formula_are_told_the_farthest_first() -> None:
    points = [Point(1, 3, 5, 1000, 2.0 * TRUE.seconds(1, 3, 5, 1000)), *points_of(TRUE)[1:]]
    points.append(Point(64, 3, 5, 1000, 1.4 * TRUE.seconds(64, 3, 5, 1000)))
    assert [(point.rows, round(error, 2)) for point, error in bends(TRUE, points)] == [(1, 1.0), (64, 0.4)]
