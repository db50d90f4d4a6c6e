"""As tables of Student's distribution have it."""

from __future__ import annotations

import pytest

from loadtests.traffic.student import errors_within


@pytest.mark.parametrize(
    ("share", "degrees", "errors"),
    [
        (0.95, 1, 12.706),
        (0.99, 2, 9.925),
        (0.95, 4, 2.776),
        (0.999, 4, 8.610),
        (0.95, 30, 2.042),
        (0.95, 1e9, 1.962),
    ],
)
def test_an_interval_is_as_wide_as_in_tables(share: float, degrees: float, errors: float) -> None:
    assert errors_within(share, degrees) == pytest.approx(errors, rel=1e-3)
