"""What is said of a server's start is what its processes and answers said."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from loadtests import server_start
from loadtests.server_start import Start, children, figures, resident_mb
from loadtests.subject import SHIPPED


def test_a_process_and_those_that_it_started_are_found_with_their_memory() -> None:
    program = (
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"
        (child,) = children(process.pid)
        assert children(child) == []
        assert 1 < resident_mb(child) < 200
        process.stdin.close()


def test_medians_are_taken_of_each_way_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_start, "WAYS", (("int8", "native"), ("float32", "eager")))
    starts = [Start("int8", "native", ready, ready + 0.1, 100.0, 200.0) for ready in (1.0, 9.0, 2.0)]
    starts.append(Start("float32", "eager", 5.0, 6.0, 150.0, 300.0))
    assert figures(starts).rows == [
        ["int8", "native", "2.00", "2.10", "100", "200", "300"],
        ["float32", "eager", "5.00", "6.00", "150", "300", "450"],
    ]


@pytest.mark.slow
def test_a_real_server_is_started_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_start, "WAYS", (("int8", "eager"),))
    server_start.main(rounds=1, requests=2, users=1, threads=1, bundle=SHIPPED, results=tmp_path)
    (one,) = json.loads((tmp_path / "server-start.json").read_text())["starts"]
    assert 0 < one["ready_seconds"] < one["first_seconds"]
    assert one["engine_mb"] > one["api_mb"] > 20  # torch is in one of them
