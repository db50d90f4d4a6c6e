"""The sweep tries settings once each and takes the fastest that holds the bound."""

from __future__ import annotations

from loadtests.live_load.servers import Tuning
from loadtests.peer_sweep import Tried, best, report, settings


def test_every_setting_is_tried_once_and_the_default_is_among_them() -> None:
    found = list(settings())
    assert len(set(found)) == len(found)
    assert Tuning() in found


def test_the_best_is_the_fastest_that_holds_the_bound() -> None:
    fast_but_late = Tried(Tuning(64), 90.0, 500.0, 1500.0)
    slower = Tried(Tuning(16), 80.0, 300.0, 900.0)
    slowest = Tried(Tuning(8), 50.0, 300.0, 800.0)
    assert best([slowest, fast_but_late, slower]) == slower
    assert best([fast_but_late]) == fast_but_late
    found = report([slowest, fast_but_late, slower], {})
    assert found.data["best"]["max_texts"] == 16
    assert found.tables[0].rows[0][5] == "90.0"
