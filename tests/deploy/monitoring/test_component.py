"""The component as kustomize renders it: dashboard in its ConfigMap, a Service that is found, the rules."""

from __future__ import annotations

import json

import pytest

from scripts.dashboard.__main__ import TARGET
from tests.deploy.manifests import of_kind
from tests.deploy.monitoring.rules import alert_names
from tests.deploy.rendering import Manifest, render


@pytest.fixture(scope="module")
def objects() -> list[Manifest]:
    return render("cpu", "monitoring")


def test_grafanas_sidecar_finds_the_dashboard_as_it_is_committed(objects: list[Manifest]) -> None:
    marked = [
        one
        for one in of_kind(objects, "ConfigMap")
        if one["metadata"].get("labels", {}).get("grafana_dashboard") == "1"
    ]
    (config,) = marked
    assert config["metadata"]["name"] == "verto-dashboard"
    (content,) = config["data"].values()
    assert json.loads(content) == json.loads(TARGET.read_text(encoding="utf-8"))


def test_the_service_monitor_finds_the_service_its_port_and_the_job_that_rules_expect(
    objects: list[Manifest],
) -> None:
    (monitor,) = of_kind(objects, "ServiceMonitor")
    (service,) = of_kind(objects, "Service")
    labels = service["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert labels[monitor["spec"]["jobLabel"]] == "verto"
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert endpoint["path"] == "/metrics"


def test_the_rules_are_rendered_whole(objects: list[Manifest]) -> None:
    (rules,) = of_kind(objects, "PrometheusRule")
    rendered = {rule.get("alert") for group in rules["spec"]["groups"] for rule in group["rules"]}
    assert rendered - {None} == alert_names()


def test_without_the_component_nothing_asks_for_an_operator() -> None:
    assert of_kind(render("cpu"), "ServiceMonitor", "PrometheusRule") == []
