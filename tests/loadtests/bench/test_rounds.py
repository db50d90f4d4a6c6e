"""Contestants take turns, and no cell takes more than its share of the time."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from loadtests.bench.cells import Cell
from loadtests.bench.rounds import Budget, Timed, time_cell
from loadtests.bench.sides import Ask, Tokens

FORCED = Cell("opus-base", "forced", "greedy", 2, "float32")
REAL = Cell("shipped", "real", "beam", 2, "int8")
SOURCES: list[Tokens] = [(5, 3), (6, 3), (7, 3), (8, 3)]


class Echo:
    """Answers the source, repeated to the length that is asked for; notes every call."""

    def __init__(
        self, name: str, calls: list[tuple[str, int | None]], seconds_per_token: float = 0.0
    ) -> None:
        self.name, self._calls, self._pace = name, calls, seconds_per_token

    def translate(self, sources: Sequence[Tokens], ask: Ask) -> list[Tokens]:
        self._calls.append((self.name, ask.length))
        time.sleep(self._pace * (ask.length or 1))
        return [source[:1] * (ask.length or 3) for source in sources]


def test_both_sides_take_turns_after_a_short_warm_up() -> None:
    calls: list[tuple[str, int | None]] = []
    sides = [Echo(name, calls, seconds_per_token=0.01) for name in "ab"]
    timed = time_cell(FORCED, *sides, SOURCES[:2], 60.0, rounds=3)
    assert calls[:4] == [("a", 2), ("b", 2), ("a", 25), ("b", 25)]
    assert calls[4:] == [("a", 25), ("b", 25)] * (len(timed.verto_seconds) - 1)
    assert 3 <= len(timed.verto_seconds) == len(timed.peer_seconds) <= 4
    assert (timed.verto_tokens, timed.sentences, timed.identical) == (50, 2, 2)


def test_sentences_are_asked_in_batches_and_never_cut() -> None:
    calls: list[tuple[str, int | None]] = []
    timed = time_cell(REAL, Echo("a", calls), Echo("b", calls), SOURCES, 0.0, rounds=1)
    assert calls == [*[("a", None)] * 2, *[("b", None)] * 2] * 2
    assert (timed.length, timed.verto_tokens, timed.sentences) == (None, 12, 4)


def test_cells_that_take_no_time_have_more_rounds() -> None:
    timed = time_cell(FORCED, Echo("a", []), Echo("b", []), SOURCES[:2], 60.0, rounds=3)
    assert len(timed.verto_seconds) == 9


def test_a_forced_target_is_made_shorter_where_time_is_short() -> None:
    calls: list[tuple[str, int | None]] = []
    sides = [Echo(name, calls, seconds_per_token=0.001) for name in "ab"]
    timed = time_cell(FORCED, sides[0], sides[1], SOURCES[:2], 0.2, rounds=7)
    assert timed.length is not None
    assert 7 <= timed.length < 20
    assert calls[-1] == ("b", timed.length)
    assert time_cell(FORCED, sides[0], sides[1], SOURCES[:2], 0.0, rounds=2).length == 7


def test_what_a_cell_saves_the_others_get() -> None:
    now = [0.0]
    cells = [Cell("shipped", "forced", "greedy", 1, "float32")] * 4
    budget = Budget(100.0, cells, clock=lambda: now[0])
    assert budget.share(cells[0]) == pytest.approx(25.0)
    now[0] = 10.0
    assert budget.share(cells[1]) == pytest.approx(30.0)
    now[0] = 200.0
    assert budget.share(cells[2]) == 0.0


def test_a_ratio_is_of_tokens_per_second_by_the_median_rounds() -> None:
    timed = Timed(REAL, None, (1.0, 9.0, 1.0), (2.0, 2.0, 0.1), 300, 200, 4, 3)
    assert (timed.verto_rate, timed.peer_rate, timed.ratio) == (300.0, 100.0, 3.0)
