"""Alerts fire when they must and keep quiet when they must; promtool says so, for each of them both ways."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.admission import QUEUE_SHARE
from service.settings import Settings
from tests.contracts.project import ROOT
from tests.deploy.monitoring.expressions import DEPLOY
from tests.deploy.monitoring.rules import (
    CASES,
    MONITORING,
    RUNBOOK,
    Rule,
    alert_names,
    alerting,
    all_rules,
    write_rules,
)

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")


def promtool(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = ["promtool", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


def cases() -> Iterator[dict[str, Any]]:
    for path in sorted(CASES.glob("*.yaml")):
        yield from yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]


def firing_in(case: dict[str, Any]) -> set[str]:
    """The names of alerts that some sample of the case expects."""
    samples = [sample for test in case["promql_expr_test"] for sample in test["exp_samples"]]
    return {name for sample in samples for name in re.findall(r'alertname="(\w+)"', sample["labels"])}


@needs_promtool
def test_the_rules_are_well_formed(tmp_path: Path) -> None:
    check = promtool("check", "rules", write_rules(tmp_path))
    assert check.returncode == 0, check.stdout + check.stderr
    assert f"{len(all_rules())} rules found" in check.stdout


@needs_promtool
@pytest.mark.parametrize("name", sorted(path.name for path in CASES.glob("*.yaml")))
def test_alerts_fire_and_keep_quiet_as_the_cases_say(tmp_path: Path, name: str) -> None:
    write_rules(tmp_path)
    run = promtool("test", "rules", shutil.copy(CASES / name, tmp_path))
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("name", sorted(alert_names()))
def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(name: str) -> None:
    fires = [case for case in cases() if case["name"].startswith(f"{name} fires")]
    quiet = [case for case in cases() if case["name"].startswith(f"{name} does not fire")]
    assert fires
    assert quiet
    assert [case["name"] for case in fires if name not in firing_in(case)] == []
    assert [case["name"] for case in quiet if name in firing_in(case)] == []


def test_every_case_says_which_alert_it_is_about() -> None:
    stray = [case["name"] for case in cases() if case["name"].split(" ")[0] not in alert_names()]
    assert stray == []


def never(rule: Rule) -> None:
    if "alert" in rule:
        rule["expr"] = f"({rule['expr']}) and on () vector(0) > 1"


def at_once(rule: Rule) -> None:
    rule.pop("for", None)


def at_any_value(rule: Rule) -> None:
    if "alert" in rule:
        rule["expr"] = re.sub(r"> [\d.]+( \* 0\.005)?", ">= 0", rule["expr"])


@needs_promtool
@pytest.mark.parametrize("change", [never, at_once, at_any_value])
def test_the_cases_notice_alerts_that_never_fire_fire_too_soon_or_at_any_value(
    tmp_path: Path, change: Any
) -> None:
    write_rules(tmp_path, change)
    assert promtool("test", "rules", shutil.copy(CASES / "engines.yaml", tmp_path)).returncode == 1


def title(rule: Rule) -> str:
    return "-".join([rule["alert"], *rule["labels"].values()])


@pytest.mark.parametrize("rule", alerting(), ids=title)
def test_an_alert_says_how_bad_it_is_what_it_saw_and_where_to_read_on(rule: Rule) -> None:
    notes = rule["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url"}
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert len(notes["summary"]) <= 80
    assert "$value" in notes["description"]
    assert "$labels." in notes["description"]
    assert notes["runbook_url"] == f"docs/runbook.md#{rule['alert'].lower()}"


def test_numbers_that_the_rules_take_from_settings_are_theirs() -> None:
    """Of the server's defaults and of the manifests; the runbook says the same."""
    base = dict(
        re.findall(r"^(VERTO_\w+)=(.*)$", (DEPLOY / "base" / "settings.env").read_text(), re.MULTILINE)
    )
    drain = float(base["VERTO_DRAIN_TIMEOUT_SECONDS"])
    (stuck,) = [rule for rule in alerting() if rule["alert"] == "VertoDrainingStuck"]
    assert f"{drain:g} s" in stuck["annotations"]["description"]
    assert 60 * int(stuck["for"].removesuffix("m")) > drain
    settings = Settings()
    refused_from = QUEUE_SHARE * settings.default_timeout_seconds
    (backlog,) = [rule for rule in alerting() if rule["alert"] == "VertoBacklogHigh"]
    assert f"from {refused_from:g} s on" in backlog["annotations"]["description"]
    (silent,) = [rule for rule in alerting() if rule["alert"] == "VertoEngineStuck"]
    assert f"After {settings.engine_stuck_seconds:g} s" in silent["annotations"]["description"]
    runbook = RUNBOOK.read_text(encoding="utf-8")
    assert f"refused from {refused_from:g} s on" in runbook
    assert f"VERTO_DRAIN_TIMEOUT_SECONDS={drain:g}" in runbook
    assert f"`VERTO_ENGINE_STUCK_SECONDS` ({settings.engine_stuck_seconds:g})" in runbook


@pytest.mark.skipif(shutil.which("amtool") is None, reason="amtool is not installed")
def test_the_example_for_alertmanager_is_valid_and_names_alerts_that_there_are(tmp_path: Path) -> None:
    text = (MONITORING / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(route:\n.*?)```", text, re.DOTALL)
    config = tmp_path / "alertmanager.yaml"
    config.write_text(example)
    command = ["amtool", "check-config", str(config)]
    check = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert check.returncode == 0, check.stdout + check.stderr
    assert set(re.findall(r"Verto\w+", text)) <= alert_names()
    for severity, receiver in (("critical", "pager"), ("warning", "chat")):
        ask = ["amtool", "config", "routes", "test", f"--config.file={config}", f"severity={severity}"]
        found = subprocess.run(ask, capture_output=True, text=True, timeout=60, check=True)
        assert found.stdout.strip() == receiver


def test_the_example_for_a_plain_prometheus_is_valid() -> None:
    text = (MONITORING / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(scrape_configs:\n.*?)```", text, re.DOTALL)
    (job,) = yaml.safe_load(example)["scrape_configs"]
    assert job["job_name"] == "verto"


@needs_promtool
def test_the_commands_that_take_the_rules_out_work(tmp_path: Path) -> None:
    text = (MONITORING / "README.md").read_text(encoding="utf-8")
    (commands,) = re.findall(r"((?:^    .*\n)*^    promtool check rules .*\n)", text, re.MULTILINE)
    script = commands.replace("verto-rules.yaml", str(tmp_path / "verto-rules.yaml"))
    script = script.replace("python -c", f"{sys.executable} -c")
    ran = subprocess.run(
        ["bash", "-ec", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"{len(all_rules())} rules found" in ran.stdout
