"""Memory that is freed and asked for again costs no new pages."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.contracts.project import ROOT

# Prints whether it was set, and page faults of rounds that allocate and free 48 MiB in blocks of 8.
_PROGRAM = """
import resource, sys
from service.engine.allocator import keep_freed_memory

answer = keep_freed_memory() if sys.argv[1] == "keep" else None
def faults(rounds):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(rounds):
        blocks = [b"x" * (8 << 20) for _ in range(6)]
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults(3)
print(answer, faults(10))
"""


def run(mode: str) -> tuple[str, int]:
    command = [sys.executable, "-c", _PROGRAM, mode]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    answer, faults = done.stdout.split()
    return answer, int(faults)


@pytest.mark.skipif(sys.platform != "linux", reason="the allocator is glibc's")
def test_kept_memory_is_used_again_without_page_faults() -> None:
    answer, faults = run("keep")
    if answer == "False":
        pytest.skip("the C library has no mallopt")
    assert faults * 10 < run("as it comes")[1]
