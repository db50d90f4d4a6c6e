"""Load on a real server, by locust and at a rate, from the command to the report, and that against itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from loadtests.machine import ROOT
from loadtests.traffic.kinds import KINDS

pytestmark = pytest.mark.slow


def verto(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli.main", "loadtest", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_a_run_on_a_real_server_is_whole_and_can_be_compared(tmp_path: Path) -> None:
    done = verto(
        "run", "--users", "2", "--rates", "4", "--bursts", "", "--seconds", "5", "--warm-up-seconds", "1",
        "--rounds", "2", "--traffic", "translate=2,batch=1,stream=3", "--strategy", "greedy",
        "--serve-options", "--num-threads 1", "--results", str(tmp_path), "--name", "a",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "a.json").read_text())
    assert content["facts"]["server"].startswith("en-de ")
    assert content["notes"] == []
    for level in ("2 users", "4/s"):
        figures = content["figures"][level]
        assert figures["all"]["asked"] == figures["all"]["done"] > 10
        assert all(figures[kind]["done"] for kind in KINDS)
        stream = figures["stream"]
        assert 0 < stream["first text p50"] <= stream["latency p50"]
        assert 0 < stream["between pieces p50"] < stream["latency p50"]
    rows = [most for window in content["windows"] for most in window["metrics"]["running_rows"]]
    assert max(rows) >= 1
    assert "</html>" in (tmp_path / "a.html").read_text()

    same = verto("compare", str(tmp_path / "a.json"), str(tmp_path / "a.json"), "--fail-over", "5%")
    assert same.returncode == 0, same.stderr
    assert "worse" not in same.stdout
