"""The queries that autoscalers ask: they parse, and ask for a metric that the server shows."""

from typing import Any

import promql_parser
import pytest
import yaml

from tests.deploy.manifests import of_kind
from tests.deploy.rendering import DEPLOY, render
from tests.deploy.rules.autoscaling import BACKLOG
from tests.fakes import FakeEngine, served_model
from tests.service.http_client import app_client


def adapter_rule() -> dict[str, Any]:
    """The only rule that the HPA needs."""
    text = (DEPLOY / "components" / "hpa" / "prometheus-adapter-values.yaml").read_text(encoding="utf-8")
    (rule,) = yaml.safe_load(text)["rules"]["custom"]
    found: dict[str, Any] = rule
    return found


def adapter_query() -> str:
    """As prometheus-adapter fills it in for the pods of a Deployment."""
    query: str = adapter_rule()["metricsQuery"]
    for field, value in (
        ("Series", BACKLOG),
        ("LabelMatchers", 'namespace="verto",pod=~"verto-a|verto-b"'),
        ("GroupBy", "pod"),
    ):
        query = query.replace(f"<<.{field}>>", value)
    return query


def keda_query() -> str:
    """The trigger's."""
    (scaled,) = of_kind(render("cpu", "keda"), "ScaledObject")
    query: str = scaled["spec"]["triggers"][0]["metadata"]["query"]
    return query


@pytest.mark.parametrize("query", [adapter_query(), keda_query(), adapter_rule()["seriesQuery"]])
def test_a_query_is_valid(query: str) -> None:
    promql_parser.parse(query)


@pytest.mark.parametrize("query", ["sum(max by (pod) (verto_backlog_seconds{)", "<<.Series>>"])
def test_a_query_that_is_not_valid_is_caught(query: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        promql_parser.parse(query)


def test_the_metric_is_one_that_the_server_shows() -> None:
    page = app_client(served_model(FakeEngine())).get("/metrics").text
    assert f"\n# TYPE {BACKLOG} gauge\n{BACKLOG} " in page


def test_the_adapter_names_the_metric_as_the_autoscaler_asks_for_it() -> None:
    (hpa,) = of_kind(render("cpu", "hpa"), "HorizontalPodAutoscaler")
    asked = hpa["spec"]["metrics"][0]["pods"]["metric"]["name"]
    rule = adapter_rule()
    assert rule["name"]["as"] == asked == BACKLOG
    assert rule["seriesQuery"].startswith(BACKLOG + "{")
    assert {name: value["resource"] for name, value in rule["resources"]["overrides"].items()} == {
        "namespace": "namespace",
        "pod": "pod",
    }
