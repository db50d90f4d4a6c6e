"""The search finds the highest rate that holds, also when single windows mislead."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from loadtests.live_load.rate_search import GRID, LOOKS, MOST_WINDOWS, RateSearch, index_near, rate_at
from loadtests.live_load.window import Window


def seen(rate: float, p99_ms: float, failed: int = 0, given_up: bool = False) -> Window:
    return Window(rate, 100, failed, given_up, p99_ms / 4, p99_ms, 0.1)


def searched(first_rate: float, look: Callable[[float, int], Window]) -> RateSearch:
    search = RateSearch(first_rate, 1000.0)
    while (index := search.next_index()) is not None:
        search.add(index, look(rate_at(index), search.num_windows))
    return search


@pytest.mark.parametrize("first_rate", [10.0, 38.0, 41.0, 90.0])
def test_the_highest_rate_that_holds_is_found_from_anywhere(first_rate: float) -> None:
    search = searched(first_rate, lambda rate, _: seen(rate, 300.0 if rate < 40.0 else 5000.0))
    assert 40.0 / GRID <= search.rate < 40.0
    assert search.num_windows <= MOST_WINDOWS
    assert len(search.at_rate()) == LOOKS
    assert len(search.windows[index_near(search.rate) + 1]) == LOOKS


@pytest.mark.parametrize("liar", range(8))
def test_one_window_that_misleads_changes_little(liar: int) -> None:
    def look(rate: float, number: int) -> Window:
        holds = (rate < 40.0) != (number == liar)
        return seen(rate, 300.0 if holds else 5000.0)

    assert 40.0 / GRID**4 <= searched(36.0, look).rate < 40.0 * GRID**2


@pytest.mark.parametrize("fault", [{"failed": 1}, {"given_up": True}])
def test_quick_answers_do_not_hold_where_others_failed(fault: dict[str, int]) -> None:
    search = searched(40.0, lambda rate, _: seen(rate, 10.0, **fault) if rate > 20.0 else seen(rate, 10.0))
    assert search.rate <= 20.0


def test_a_server_that_never_holds_has_no_rate() -> None:
    search = searched(5.0, lambda rate, _: seen(rate, math.nan))
    assert (search.rate, search.at_rate(), search.num_windows) == (0.0, [], MOST_WINDOWS)
