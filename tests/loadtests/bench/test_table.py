"""The table says who is faster, by how much, and where a target is missed."""

from __future__ import annotations

import pytest

from loadtests.bench.cells import GENERATE, Cell, all_cells
from loadtests.bench.picture import picture
from loadtests.bench.rounds import Timed
from loadtests.bench.table import cells_table, means, means_table, reasons_table, short_of_target, to_json


def timed(cell: Cell, ratio: float) -> Timed:
    return Timed(cell, 25, (1.0 / ratio,), (1.0,), 100, 100, 4, 3)


FAST = timed(Cell("shipped", "real", "beam", 8, "int8"), 4.0)
SLOW = timed(Cell("opus-base", "forced", "greedy", 1, "float32"), 1.0)
OVER_GENERATE = timed(Cell("opus-base", "forced", "greedy", 1, "float32", GENERATE), 2.0)


def test_every_combination_is_there_once() -> None:
    cells = all_cells()
    assert len(set(cells)) == len(cells) == 16 + 2 * 16 + 5
    assert {(cell.shape, cell.text) for cell in cells} == {
        ("opus-base", "forced"), ("shipped", "forced"), ("shipped", "real"),
    }  # fmt: skip


def test_means_are_geometric_and_of_ctranslate2_alone() -> None:
    found = means([FAST, SLOW, OVER_GENERATE])
    assert found["all"] == pytest.approx(2.0)
    assert found["int8"] == pytest.approx(4.0)
    assert found["batch 1"] == pytest.approx(1.0)


def test_cells_under_their_target_are_named_with_the_reason() -> None:
    assert short_of_target([FAST, SLOW, OVER_GENERATE]) == [SLOW, OVER_GENERATE]
    rows = reasons_table([FAST, SLOW], {SLOW.cell.name: "the encoder"}).rows
    assert rows == [[SLOW.cell.name, "1.00", "the encoder"]]
    assert means_table([FAST, SLOW, OVER_GENERATE]).rows[-1][0].startswith("worst: opus-base")
    assert [row[-2] for row in cells_table([FAST, SLOW]).rows] == ["1.3", "1.3, short"]
    cells = to_json([FAST], {})["cells"]
    assert (cells[0]["ratio"], cells[0]["identical"], cells[0]["batch"]) == (pytest.approx(4.0), 3, 8)


def test_the_picture_has_a_panel_for_each_kind() -> None:
    assert picture([FAST, SLOW]).startswith(b"\x89PNG")
