"""The rules of deploy/components/monitoring as data, and as the file that Prometheus itself reads.

Knows the shape of a PrometheusRule; must not know what the rules say.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.contracts.project import ROOT

MONITORING = ROOT / "deploy" / "components" / "monitoring"
RUNBOOK = ROOT / "docs" / "runbook.md"
CASES = Path(__file__).with_name("alerts")

Rule = dict[str, Any]


@cache
def _groups() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((MONITORING / "prometheus-rule.yaml").read_text("utf-8"))
    assert document["kind"] == "PrometheusRule"
    groups: dict[str, Any] = document["spec"]
    return groups


def all_rules() -> list[Rule]:
    """Recording and alerting, in their order."""
    return [rule for group in _groups()["groups"] for rule in group["rules"]]


def alerting() -> list[Rule]:
    return [rule for rule in all_rules() if "alert" in rule]


def alert_names() -> set[str]:
    return {rule["alert"] for rule in alerting()}


def write_rules(folder: Path, change: Callable[[Rule], None] = lambda rule: None) -> Path:
    """`rules.yaml` in the folder, each rule changed as said."""
    groups = copy.deepcopy(_groups())
    for group in groups["groups"]:
        for rule in group["rules"]:
            change(rule)
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump(groups, sort_keys=False), encoding="utf-8")
    return path
