"""All of cases.py, in a process of its own: torch counts its devices at the first gradient that it makes, and
other tests need not know of one more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.stand_in import device as stand_in

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(stand_in.compiler() is None, reason="no C++ compiler to build the stand-in with")
def test_on_a_stand_in_for_a_gpu_all_is_as_on_the_processor() -> None:
    cases = ROOT / "tests" / "stand_in" / "cases.py"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(cases)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-10_000:]
    assert " passed" in ran.stdout
