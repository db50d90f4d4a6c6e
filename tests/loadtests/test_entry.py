"""A program that is given a bundle that is none says so in a line, before it measures anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = [
    "bench",
    "continuous_batching",
    "ctranslate2_agreement",
    "live_load",
    "peers.ctranslate2_server",
    "peers.sequential_server",
    "peers.static_batching",
    "precision",
    "robustness",
    "same_answer",
    "server_start",
    "stream_lag",
]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_folder_without_a_bundle_is_refused_in_a_line(program: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", f"loadtests.{program}", "--bundle", str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith(str(tmp_path))
    assert result.stderr.count("\n") == 1
