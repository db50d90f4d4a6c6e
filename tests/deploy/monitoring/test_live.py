"""Every committed expression gives data from a real server in a real Prometheus; a misspelt one is noticed.

What later files under deploy/ hold (autoscalers among them) is found by walking it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.deploy.monitoring.expressions import (
    DEPLOY,
    Expression,
    as_adapter_asks,
    committed,
    selectors,
    sides,
)
from tests.deploy.monitoring.live import PROMETHEUS, Prometheus, prometheus, target, wait_until
from tests.deploy.monitoring.load import some_of_everything
from tests.deploy.monitoring.rules import write_rules
from tests.server_process import ROOT, serve

DATA_SECONDS = 60.0
ADMIN_KEY = "a-key-of-at-least-16"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which(PROMETHEUS) is None, reason="Prometheus is not installed"),
]


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus with our rules that has seen a server before, during and after a little of everything."""
    folder, models = tmp_path_factory.mktemp("prometheus"), tmp_path_factory.mktemp("models")
    shutil.copytree(ROOT / "checkpoints" / "en-de", models / "en-de")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VERTO_ADMIN_KEY", ADMIN_KEY)
        with serve("--num-threads", "1", "--models-dir", str(models)) as server:
            url = str(server.wait_for_line("ready")["url"])
            where = target(url, namespace="verto", pod="verto-0")
            with prometheus(folder, [where], write_rules(folder)) as running:
                wait_until(lambda: running.has("verto_ready == 1"), DATA_SECONDS, lambda: "a scrape")
                for _ in range(2):  # the first of a code's requests begins its series, the second is a rise
                    some_of_everything(url)
                    fail_to_load(url, models)
                    sees_a_rise(running)
                yield running


def fail_to_load(url: str, models: Path) -> None:
    """A bundle that is none."""
    (models / "broken").mkdir(exist_ok=True)
    (models / "broken" / "manifest.json").write_text("{}")
    head = {"Authorization": f"Bearer {ADMIN_KEY}"}
    answer = httpx.post(f"{url}/v1/admin/models", json={"folder": "broken"}, headers=head, timeout=60)
    assert answer.status_code == 422, answer.text


def sees_a_rise(running: Prometheus) -> None:
    wait_until(lambda: running.has("rate(verto_segments_total[5s])"), DATA_SECONDS, lambda: "two scrapes")


def without_data(running: Prometheus, expressions: Iterable[Expression]) -> list[str]:
    return [f"{one.where}: {one.text}" for one in expressions if not running.has(one.text)]


def test_every_expression_gives_data(scraped: Prometheus) -> None:
    missing = committed()

    def is_complete() -> bool:
        missing[:] = [one for one in missing if not scraped.has(one.text)]
        return not missing

    wait_until(is_complete, DATA_SECONDS, lambda: f"data for {missing}")


def test_every_choice_of_series_in_them_finds_some(scraped: Prometheus) -> None:
    chosen = [Expression(one.where, part) for one in committed() for part in selectors(one.text)]
    missing = without_data(scraped, {one.text: one for one in chosen}.values())
    assert missing == []


def misspelt(text: str) -> str:
    """Each metric with a letter too many."""
    text = re.sub(r"\bverto_", "verto_x", text)
    return re.sub(r"\bup\b(?=\{)", "upp", text)


def test_a_misspelt_metric_is_noticed_in_every_expression(scraped: Prometheus) -> None:
    planted = [Expression(one.where, misspelt(one.text)) for one in committed()]
    assert all(one.text != other.text for one, other in zip(planted, committed(), strict=True))
    assert len(without_data(scraped, planted)) == len(planted)


def test_a_misspelt_label_is_noticed(scraped: Prometheus) -> None:
    planted = [
        Expression("planted", 'verto_model_info{path=~"egaer|dirct"}'),
        Expression("planted", 'sum by (reason) (rate(verto_rejected_total{raeson="overloaded"}[5m]))'),
    ]
    assert len(without_data(scraped, planted)) == 2


def test_a_misspelt_metric_behind_or_is_noticed_by_its_own_choice_of_series(scraped: Prometheus) -> None:
    text = "sum(verto_raedy or on (instance) 0 * up)"
    assert without_data(scraped, [Expression("planted", text)]) == []
    assert without_data(scraped, [Expression("planted", part) for part in selectors(text)]) != []


def test_expressions_are_found_in_dashboard_rules_runbook_and_autoscalers() -> None:
    files = {one.where.partition(":")[0] for one in committed()}
    assert {
        "runbook",
        "components/monitoring/dashboard.json",
        "components/monitoring/prometheus-rule.yaml",
    } <= files
    for path in DEPLOY.rglob("*.yaml"):
        if re.search(
            r"^\s*(- )?(metricsQuery|seriesQuery|serverAddress|alert|record):", path.read_text(), re.M
        ):
            assert path.relative_to(DEPLOY).as_posix() in files


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a > 3", ["a{}"]),
        ("a / b > 0.9 and c == 1", ["a{} / b{}", "c{}"]),
        ("(sum by (x) (a) == 0) or absent(up == 1)", ["sum by (x)(a{})", "up{}"]),
        ("a > 14.4 * 0.005", ["a{}"]),
        ("a > b", ["a{}", "b{}"]),
        ("absent(a) - 1", ["a{}"]),
        ("(a unless b offset 15m) > 0", ["a{}", "b{}"]),
    ],
)
def test_comparisons_are_taken_off(text: str, expected: list[str]) -> None:
    assert sides(text) == expected


def test_the_adapters_templates_are_filled_as_it_fills_them() -> None:
    text = "max(avg_over_time(<<.Series>>{<<.LabelMatchers>>}[30s])) by (<<.GroupBy>>)"
    filled = 'max(avg_over_time(verto_x{namespace="verto"}[30s])) by (pod)'
    assert as_adapter_asks('verto_x{pod!=""}', text) == filled
