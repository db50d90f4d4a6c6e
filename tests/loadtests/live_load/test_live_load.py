"""The comparison as a whole, with doors in place of servers, and what its report says."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import cast

import pytest

from loadtests.http_client import PreparedClient
from loadtests.live_load.__main__ import Plan, measure
from loadtests.live_load.rate_search import RateSearch, index_near
from loadtests.live_load.report import Finding, calm_table, picture, rates_table, to_json
from loadtests.live_load.servers import CTRANSLATE2, SEQUENTIAL, TUNED_FILE, VERTO, Tuning, tuned
from loadtests.live_load.window import Window
from loadtests.report import RESULTS, Report, write


class OneAtATime:
    """A server that takes `seconds` for each request."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._lock = seconds, asyncio.Lock()

    async def status(self, number: int) -> int:
        async with self._lock:
            await asyncio.sleep(self._seconds)
        return 200


def test_a_server_twice_as_fast_keeps_up_with_about_twice_the_rate() -> None:
    async def run() -> Finding:
        doors = {VERTO: OneAtATime(0.004), CTRANSLATE2: OneAtATime(0.008)}
        clients = cast(dict[str, PreparedClient], doors)
        plan = Plan(seconds=0.25, calm_rounds=2, bound_ms=100.0, warm_up_seconds=0.02)
        return await measure(clients, plan, lambda *_: None)

    found = asyncio.run(run())
    assert 1.1 < found.rate_ratio(CTRANSLATE2) < 5.0
    assert [len(windows) for windows in found.calm.values()] == [2, 2]
    assert found.calm_ratio < 1.0


def finding() -> Finding:
    searches = {}
    for name, rate in ((VERTO, 80.0), (CTRANSLATE2, 40.0), (SEQUENTIAL, 20.0)):
        searches[name] = RateSearch(rate, 1000.0)
        searches[name].add(index_near(rate), Window(rate, 100, 0, False, 200.0, 800.0, 0.1))
    calm = {
        VERTO: [Window(28.0, 100, 0, False, 60.0, 200.0, 0.1)],
        CTRANSLATE2: [Window(28.0, 100, 0, False, 120.0, 400.0, 0.1)],
    }
    return Finding(1000.0, searches, calm)


def test_the_report_holds_both_targets_against_what_was_found(tmp_path: Path) -> None:
    found = finding()
    assert found.rate_ratio(CTRANSLATE2) == pytest.approx(2.0, rel=0.06)
    assert found.calm_ratio == 0.5
    rates = rates_table(found)
    assert rates.rows[1][3] == "at least 1.5"
    assert calm_table(found).rows[0][-2:] == ["0.50", "at most 0.8"]
    pictures = {"live-load.png": picture(found)}
    write(Report("live-load", "Load", {}, [rates, calm_table(found)], to_json(found), (), pictures), tmp_path)
    data = json.loads((tmp_path / "live-load.json").read_text())
    assert data["calm_p50_ratio"] == 0.5
    assert set(data["rate_ratios"]) == {CTRANSLATE2, SEQUENTIAL}


def test_the_peer_runs_with_the_best_settings_of_the_last_sweep(tmp_path: Path) -> None:
    assert tuned(tmp_path) == tuned(RESULTS), "elsewhere the peer is as good as in the committed report"
    best = {"max_texts": 16, "wait_ms": 5.0, "in_flight": 2, "batch_type": "tokens", "max_batch_size": 512}
    (tmp_path / TUNED_FILE).write_text(json.dumps({"best": best}))
    assert tuned(tmp_path) == Tuning(**best)  # type: ignore[arg-type]
    assert tuned(tmp_path).options()[:4] == ["--max-texts", "16", "--wait-ms", "5.0"]
