"""Builds the kernels in a process of its own that gives way to everything else: traffic must not notice.

Knows: processes, priorities. Must not know: networks, what a library is for. Run as a program it is that
process; it ends with the one that started it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from model.native.library import BuildSettings, NativeUnavailable, build_library, choose_level
from service.engine.parent_death import end_with_parent

NICENESS = 15  # of 19: what runs beside it has nearly all of a processor that both want
_ROOT = str(Path(__file__).resolve().parents[2])
# Not `-m`: the packages need neither be installed nor stand in the current folder.
_CODE = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from service.engine.kernel_build import main; main()"
)


def build_in_background(cache_dir: Path, compiler: str, niceness: int = NICENESS) -> None:
    """Have the library for this processor built, and wait for it. Raises `NativeUnavailable`."""
    arguments = [str(os.getpid()), str(niceness), str(cache_dir), compiler]
    command = [sys.executable, "-c", _CODE, _ROOT, *arguments]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
    except OSError as error:
        raise NativeUnavailable(f"the builder does not start: {error.strerror or error}") from error
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or [f"the builder ended with {done.returncode}"]
        raise NativeUnavailable(reason[0])


def main() -> None:
    """Arguments: the parent's pid, the niceness, the cache's folder, the compiler's command or nothing."""
    parent_pid, niceness, cache_dir, compiler = sys.argv[1:]
    # Not killed: the compiler and what it has written so far are to go with it.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # which an engine's process has blocked
    end_with_parent(int(parent_pid), signal.SIGTERM)
    os.nice(int(niceness))
    try:
        build_library(BuildSettings(cache_dir=Path(cache_dir), compiler=compiler), choose_level())
    except NativeUnavailable as error:
        sys.exit(" ".join(error.reason.split()))  # its last line is what is read
