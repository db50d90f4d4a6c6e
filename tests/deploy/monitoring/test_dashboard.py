"""The dashboard is what its program writes, each panel is whole and in its place, and it can be drawn."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from scripts.dashboard.__main__ import TARGET, build, write
from scripts.dashboard.filled import expressions, filled
from scripts.dashboard.picture import Prometheus, Series, Window, draw, readable
from tests.deploy.monitoring.expressions import sides

DASHBOARD: dict[str, Any] = json.loads(TARGET.read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
ROWS = [panel for panel in DASHBOARD["panels"] if panel["type"] == "row"]


def test_what_is_committed_is_what_the_program_writes(tmp_path: Path) -> None:
    assert TARGET.read_text(encoding="utf-8") == build(), "run: python -m scripts.dashboard"
    write(tmp_path / "dashboard.json")
    assert [one.name for one in tmp_path.iterdir()] == ["dashboard.json"]
    assert (tmp_path / "dashboard.json").read_text(encoding="utf-8") == build()


def test_the_rows_are_those_that_somebody_on_call_reads() -> None:
    assert [row["title"] for row in ROWS] == [
        "At a glance",
        "Traffic and errors",
        "Latency",
        "Queue and backlog",
        "Engine",
        "Processes",
        "Models",
    ]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: f"{panel['id']}")
def test_a_panel_says_what_it_shows_in_which_unit_from_the_chosen_source(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert len(panel["description"]) > 10
    assert panel["datasource"]["uid"] == "${datasource}"
    assert panel["targets"]
    if panel["type"] != "table":
        assert panel["fieldConfig"]["defaults"]["unit"]
    assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
    names = [target["refId"] for target in panel["targets"]]
    assert len(set(names)) == len(names)


def test_panels_fill_their_rows_and_none_lies_on_another() -> None:
    taken: Counter[tuple[int, int]] = Counter()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        taken.update(
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        )
    assert set(taken.values()) == {1}
    assert len(taken) == 24 * (max(y for _, y in taken) + 1), "there is a hole"


def test_every_panel_has_an_id_of_its_own() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert ids == list(range(1, len(ids) + 1))


def test_every_variable_is_used_and_every_choice_is_everything_at_first() -> None:
    variables = {one["name"]: one for one in DASHBOARD["templating"]["list"]}
    assert set(variables) == {"datasource", "namespace", "job", "model", "pair"}
    text = " ".join(expression for _, expression in expressions(DASHBOARD))
    for name in set(variables) - {"datasource"}:
        assert f'=~"${name}"' in text
        assert variables[name]["current"]["value"] == "$__all"
        assert variables[name]["allValue"] == ".*"


def test_every_expression_heeds_the_choice_of_namespace_and_job() -> None:
    for _, expression in expressions(DASHBOARD):
        chosen = re.findall(r"\{([^}]*)\}", expression)
        assert chosen
        for conditions in chosen:
            assert conditions.startswith('namespace=~"$namespace",job=~"$job"')


def test_every_expression_parses_once_its_variables_are_filled() -> None:
    for _, expression in expressions(DASHBOARD):
        assert sides(filled(expression, "15s"))


def test_a_variable_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\$pears"):
        filled('a{pair=~"$pears"}', "15s")


def test_limits_in_the_dashboard_are_those_of_the_alerts() -> None:
    rules = (TARGET.parent / "prometheus-rule.yaml").read_text(encoding="utf-8")
    limits = {
        panel["title"]: panel["fieldConfig"]["defaults"]["thresholds"]["steps"][1]["value"]
        for panel in PANELS
        if panel["type"] == "timeseries" and "thresholds" in panel["fieldConfig"]["defaults"]
    }
    assert "* 0.005" in rules
    assert limits["Server errors"] == 0.005
    for title, condition in {
        "Request": "p99_rate5m > ",
        "Backlog": "(verto_backlog_seconds) > ",
        "Cache of keys and values": "verto_cache_bytes_limit > ",
        "Silence of engines": "verto_engine_heartbeat_seconds > ",
        "Memory, of what may be taken": "verto_memory_limit_bytes > ",
        "Open files": "verto_api_open_files_limit > ",
    }.items():
        assert f"{condition}{limits[title]:g}\n" in rules


class Waves(Prometheus):
    """Two series for every question, or none."""

    def __init__(self, has_data: bool) -> None:
        super().__init__("http://nowhere", Window(0.0, 600.0))
        self.has_data = has_data

    def over_time(self, expression: str) -> list[Series]:
        filled(expression, self.window.rate_interval)
        times = [10.0 * step for step in range(60)]
        labels = [{"code": "200"}, {"code": "504"}] if self.has_data else []
        return [(one, times, [float("nan"), *times[1:]]) for one in labels]

    def now(self, expression: str) -> list[dict[str, str]]:
        return [{"model": "en-de", "path": "native"}] if self.has_data else []


@pytest.mark.parametrize("has_data", [True, False])
def test_the_picture_has_every_panel_where_the_grid_has_it(has_data: bool, tmp_path: Path) -> None:
    figure = draw(DASHBOARD, Waves(has_data))
    words = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert {panel["title"] for panel in PANELS} <= words
    assert ("No data" in words) is not has_data
    figure.savefig(tmp_path / "picture.png", dpi=30)
    assert (tmp_path / "picture.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.0, "s", "0 s"),
        (0.0125, "s", "12.5 ms"),
        (12.5, "s", "12.5 s"),
        (0.004, "percentunit", "0.4 %"),
        (3 * 1024**3, "bytes", "3 GiB"),
        (12_345.0, "short", "12.3 K"),
        (7.0, "reqps", "7 req/s"),
    ],
)
def test_numbers_are_shown_as_people_read_them(value: float, unit: str, expected: str) -> None:
    assert readable(value, unit) == expected


def test_a_step_is_a_second_at_least_and_a_rate_looks_over_four() -> None:
    assert Window(0.0, 60.0).step == 1.0
    assert Window(0.0, 60.0).rate_interval == "15s"
    steps = [Window(0.0, seconds).step for seconds in (600.0, 3600.0, 86_400.0)]
    assert all(short < long for short, long in pairwise(steps))
    assert Window(0.0, 86_400.0).rate_interval == "1440s"
