"""The runbook has a section for each alert, its links lead somewhere, and its commands and settings exist."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import promql_parser
import pytest

from cli.main import available_commands
from service.settings import Settings
from tests.contracts.project import sources
from tests.deploy.monitoring.rules import RUNBOOK, alert_names, alerting

TEXT = RUNBOOK.read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
KUBECTL = Path(sys.executable).with_name("kubectl")


def queries() -> list[str]:
    return [query.strip() for query in re.findall(r"```promql\n(.*?)```", TEXT, re.DOTALL)]


def test_alerts_and_sections_are_the_same() -> None:
    assert set(SECTIONS) == alert_names()


@pytest.mark.parametrize("name", sorted(SECTIONS))
def test_a_section_says_what_it_means_how_to_confirm_what_to_do_and_when_to_escalate(name: str) -> None:
    words = [f"**{word}" for word in ("Means.", "Confirm.", "Do.", "Escalate**")]
    places = [SECTIONS[name].find(word) for word in words]
    assert -1 not in places
    assert places == sorted(places)
    assert "```promql" in SECTIONS[name]


def test_every_link_within_the_runbook_and_to_it_leads_to_a_section() -> None:
    anchors = {name.lower() for name in SECTIONS}
    assert set(re.findall(r"\]\(#([^)]*)\)", TEXT)) <= anchors
    assert {rule["annotations"]["runbook_url"].partition("#")[2] for rule in alerting()} == anchors


def test_every_query_parses() -> None:
    assert len(queries()) > 20
    for query in queries():
        promql_parser.parse(query)


def test_every_setting_that_is_named_exists() -> None:
    named = set(re.findall(r"\bVERTO_([A-Z_]+)", TEXT))
    assert named
    assert {name.lower() for name in named} <= set(Settings.model_fields)


def test_every_subcommand_that_is_named_exists() -> None:
    assert set(re.findall(r"`verto (\w+)", TEXT)) <= set(available_commands())


@pytest.mark.skipif(not KUBECTL.exists() and shutil.which("kubectl") is None, reason="no kubectl here")
def test_every_kubectl_command_that_is_named_exists() -> None:
    kubectl = str(KUBECTL) if KUBECTL.exists() else "kubectl"
    commands = set(re.findall(r"kubectl ((?:rollout |config )?[a-z-]+)", TEXT))
    assert {"logs", "delete", "rollout undo"} <= commands
    for command in sorted(commands):
        shown = subprocess.run(
            [kubectl, *command.split(), "--help"], capture_output=True, text=True, timeout=60, check=False
        )
        assert f"kubectl {command}" in shown.stdout, command


def test_every_phrase_that_is_looked_for_in_the_log_is_one_that_is_logged() -> None:
    found = re.findall(r"grep (?:-\w+ )?'?([\w |]+)'?", TEXT)
    phrases = {phrase for choice in found for phrase in choice.split("|")}
    assert {"did not start", "process died", "model change"} <= phrases
    logged = " ".join(text for path, text in sources().items() if path.startswith("service/"))
    assert [phrase for phrase in phrases if phrase not in logged] == []
