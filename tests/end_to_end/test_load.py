"""Load on a real server, by locust and at a rate, from the command to the report, and that against itself."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from loadtests.machine import ROOT
from loadtests.traffic.kinds import KINDS
from tests.server_process import PROC, children_of, is_alive

pytestmark = pytest.mark.slow


def verto(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli.main", "loadtest", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_a_run_on_a_real_server_is_whole_and_can_be_compared(tmp_path: Path) -> None:
    done = verto(
        "run", "--users", "2", "--rates", "4", "--bursts", "", "--seconds", "3", "--warm-up-seconds", "1",
        "--rounds", "2", "--traffic", "translate=2,batch=1,stream=3", "--strategy", "greedy",
        "--serve-options", "--num-threads 1", "--results", str(tmp_path), "--name", "a",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "a.json").read_text())
    assert "en-de " in content["facts"]["server"]
    assert content["notes"] == []
    for level in ("2 users", "4/s"):
        counts = content["figures"][level]["all"]
        assert counts["asked"] == counts["done"] > 0
    at_a_rate = content["figures"]["4/s"]
    assert all(at_a_rate[kind]["done"] for kind in KINDS)
    stream = at_a_rate["stream"]
    assert 0 < stream["first text p50"] <= stream["latency p50"]
    assert 0 < stream["between pieces p50"] < stream["latency p50"]
    rows = [most for window in content["windows"] for most in window["metrics"]["running_rows"]]
    assert max(rows) >= 1
    assert "</html>" in (tmp_path / "a.html").read_text()

    same = verto("compare", str(tmp_path / "a.json"), str(tmp_path / "a.json"), "--fail-over", "5%")
    assert same.returncode == 0, same.stderr
    assert "worse" not in same.stdout


@pytest.mark.skipif(not (PROC / "self" / "stat").exists(), reason="processes are found through /proc")
def test_a_run_that_is_stopped_leaves_no_server_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cli.main", "loadtest", "run", "--results", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert eventually(lambda: "serve" in commands_of(children_of(process.pid)))
        left = children_of(process.pid)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert said.endswith("verto: stopped\n")
    assert not any(map(is_alive, left))
    assert list(tmp_path.iterdir()) == []


def commands_of(processes: list[int]) -> list[str]:
    """All their words; none of those that have just ended."""
    words = list[str]()
    for process in processes:
        with suppress(OSError):
            words += (PROC / str(process) / "cmdline").read_text().split("\0")
    return words


def eventually(is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60.0
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.05)
    return is_so()
