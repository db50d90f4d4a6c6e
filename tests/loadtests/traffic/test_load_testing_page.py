"""Every command of docs/load-testing.md runs as it stands there, for less time and on a server at hand."""

from __future__ import annotations

import contextlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.machine import ROOT
from loadtests.traffic.address import Address, read_address
from loadtests.traffic.arrivals import ARRIVALS, BURST_FACTOR, BURST_SECONDS
from loadtests.traffic.kinds import MIXED_SHARES
from loadtests.traffic.limits import DEFAULT
from tests.cli.conftest import Verto, verto
from tests.loadtests.traffic.fake_server import FakeServer, at_most, running

__all__ = ["verto"]  # the fixture

PAGE = (ROOT / "docs" / "load-testing.md").read_text(encoding="utf-8")
THERE = "http://localhost:8000"
QUICK = {
    "run": "--users '' --rates 30 --bursts '' --seconds 0.4 --warm-up-seconds 0 --rounds 2",
    "saturate": "--seconds 0.5",
    "compare": "",
}


def commands(program: str) -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith(f"{program} ")]


@pytest.mark.slow
def test_every_command_of_verto_works(verto: Verto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("loadtests.live_load.rate_search.MOST_WINDOWS", 6)
    with running(FakeServer(at_most(100.0), pause_seconds=0.001)) as server:

        @contextlib.contextmanager
        def instead(url: str | None, headers: list[str], options: list[str]) -> Iterator[Address]:
            yield read_address(server.url, headers)

        monkeypatch.setattr("loadtests.traffic.commands.target", instead)
        for line in commands("verto"):
            quick = "" if "--like" in line else QUICK[line.split()[2]]
            ended = verto(*shlex.split(f"{line} {quick}")[1:])
            assert ended.code == 0, f"{line}\n{ended.err}\n{ended.text}"
    assert len(commands("verto")) == 8
    assert (tmp_path / "runs/loadtest/before.html").exists()
    assert (tmp_path / "runs/loadtest/after.json").exists()


def test_every_command_of_locust_works(tmp_path: Path) -> None:
    assert len(commands("locust")) == 2
    with running(FakeServer(pause_seconds=0.001)) as server:
        for line in commands("locust"):
            words = shlex.split(line.replace(THERE, server.url).replace("-t 15s", "-t 2s"))
            words = [str(ROOT / word) if word.startswith("loadtests/") else word for word in words]
            environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
            done = subprocess.run(
                [sys.executable, "-m", *words], cwd=tmp_path, env=environment, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
    assert "stream: first token" in (tmp_path / "streams_stats.csv").read_text()


def test_the_page_says_what_the_code_does() -> None:
    for name, milliseconds in DEFAULT.items():
        assert f"`{name}={milliseconds:g}`" in PAGE
    for kind, share in MIXED_SHARES.items():
        assert re.search(rf"^\| `{kind}` \|.*\| {share:g} \|$", PAGE, re.MULTILINE)
    assert all(f"`{name}`" in PAGE or f" {name}`" in PAGE for name in ARRIVALS)
    assert (BURST_FACTOR, BURST_SECONDS) == (
        3.0,
        3.0,
    )  # "three times the rate for a second, then nothing for two"


def test_make_loadtest_asks_the_server_that_is_given() -> None:
    def made(*settings: str) -> str:
        command = ["make", "--dry-run", "--no-print-directory", "loadtest", *settings]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return next(line for line in done.stdout.splitlines() if "loadtest run" in line)

    assert "--url" not in made()
    assert made("TARGET=http://h:1", "ARGS=--seed 3").rstrip().endswith("--url http://h:1 --seed 3")
    assert "--url http://h:8000" in made("HOST=h")
    assert "--url http://h:9000" in made("HOST=h", "PORT=9000")
