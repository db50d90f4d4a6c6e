"""A server stops: Prometheus notices, Alertmanager tells; it is there again, and that is told too."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from tests.deploy.monitoring.live import (
    ALERTMANAGER,
    PROMETHEUS,
    Prometheus,
    alertmanager,
    free_port,
    prometheus,
    target,
    wait_until,
)
from tests.deploy.monitoring.receiver import Receiver, receiver
from tests.deploy.monitoring.rules import Rule, write_rules
from tests.server_process import Server, serve

PATIENCE_SECONDS = 60.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which(PROMETHEUS) is None or shutil.which(ALERTMANAGER) is None,
        reason="Prometheus or Alertmanager is not installed",
    ),
]


def impatient(rule: Rule) -> None:
    """A test cannot wait for minutes; nothing else is changed."""
    if "for" in rule:
        rule["for"] = "1s"


def stop(server: Server) -> None:
    server.process.send_signal(signal.SIGTERM)
    assert server.end() == 0


def hears(told: Receiver, name: str, status: str) -> None:
    wait_until(
        lambda: bool(told.heard(name, status)), PATIENCE_SECONDS, lambda: f"{name} {status}: {told.alerts}"
    )


def sees(running: Prometheus, expression: str) -> None:
    wait_until(lambda: running.has(expression), PATIENCE_SECONDS, lambda: expression)


def test_an_alert_reaches_its_receiver_and_is_resolved_when_the_server_is_back(tmp_path: Path) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    jobs = [target(address, namespace="verto", pod="verto-0")]
    with (
        receiver() as told,
        alertmanager(tmp_path, told.url) as manager,
        prometheus(tmp_path, jobs, write_rules(tmp_path, impatient), manager) as running,
    ):
        with serve("--port", str(port), "--num-threads", "1") as server:
            server.wait_for_line("ready")
            sees(running, "verto_ready == 1")
            stop(server)
        hears(told, "VertoTargetDown", "firing")
        hears(told, "VertoNoReplicaReady", "firing")
        with serve("--port", str(port), "--num-threads", "1") as server:
            server.wait_for_line("ready")
            hears(told, "VertoTargetDown", "resolved")
            hears(told, "VertoNoReplicaReady", "resolved")
    (alert, *_) = told.heard("VertoTargetDown", "firing")
    assert alert["labels"]["severity"] == "warning"
    assert alert["annotations"]["runbook_url"] == "docs/runbook.md#vertotargetdown"
    assert address.removeprefix("http://") in alert["annotations"]["description"]
    assert "(verto-0)" in alert["annotations"]["description"]
    assert "up is 0" in alert["annotations"]["description"]
