"""The allocator's setting, seen in a process of its own by the faults of a block that is taken twice."""

import ctypes
import subprocess
import sys

import pytest

from training.host_memory import keep_freed_memory

FAULTS_OF_THE_SECOND_BLOCK = """
import ctypes, resource, sys
from training.host_memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
libc, size = ctypes.CDLL(None), 256 << 20
libc.malloc.restype = ctypes.c_void_p
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = ctypes.c_void_p(libc.malloc(ctypes.c_size_t(size)))
    ctypes.memset(block, 1, size)
    libc.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""


def faults_of_the_second_block(how: str) -> int:
    command = [sys.executable, "-c", FAULTS_OF_THE_SECOND_BLOCK, how]
    return int(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="not the GNU C library")
def test_a_large_block_is_handed_out_again_without_page_faults() -> None:
    assert faults_of_the_second_block("keep") < 100
    assert faults_of_the_second_block("default") > 100


def test_another_c_library_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert not keep_freed_memory()
