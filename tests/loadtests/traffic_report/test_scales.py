"""Numbers find their places, and axes have round ones."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.traffic_report.scales import Scale, label, linear, logarithmic

positive = st.floats(1e-3, 1e6)


@given(st.lists(positive, min_size=1, max_size=20))
def test_every_value_has_a_place_between_the_ends_in_its_order(values: list[float]) -> None:
    for scale in (linear(values, 10.0, 200.0), logarithmic(values, 200.0, 10.0)):
        places = [scale.place(value) for value in sorted(values)]
        assert all(10.0 <= place <= 200.0 for place in places)
        assert places == sorted(places, reverse=scale.last < scale.first)


@given(st.lists(positive, min_size=1, max_size=20))
def test_there_are_some_ticks_and_not_too_many(values: list[float]) -> None:
    for scale in (linear(values, 0.0, 1.0), logarithmic(values, 0.0, 1.0)):
        ticks = scale.ticks()
        assert 2 <= len(ticks) <= 11
        assert ticks == sorted(set(ticks))
        assert all(scale.low <= tick <= scale.high * (1 + 1e-9) for tick in ticks)


@pytest.mark.parametrize("values", [[], [0.0], [math.nan], [math.nan, 0.0]])
def test_nothing_to_show_is_no_fault(values: list[float]) -> None:
    assert linear(values, 0.0, 1.0).ticks()
    assert logarithmic(values, 0.0, 1.0).ticks()


def test_a_place_outside_is_the_nearer_end() -> None:
    assert Scale(1.0, 100.0, 0.0, 2.0, is_log=True).place(10.0) == pytest.approx(1.0)
    assert Scale(1.0, 100.0, 0.0, 2.0, is_log=True).place(0.0) == 0.0
    assert Scale(0.0, 10.0, 0.0, 1.0).place(99.0) == 1.0


def test_labels_are_short() -> None:
    assert [label(value) for value in (1500.0, 20.0, 0.25, 0.0)] == ["1,500", "20", "0.25", "0"]
