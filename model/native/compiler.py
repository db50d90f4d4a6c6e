"""The system's C++ compiler: where it is, which one it is, one run of it.

Knows: commands, their output and exit status. Must not know: levels, caches, what is compiled.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

CANDIDATES = ("c++", "g++", "clang++")
COMPILE_SECONDS = 600.0
VERSION_SECONDS = 30.0
_INSTALL = "Debian and Ubuntu: apt-get install g++; Fedora: dnf install gcc-c++; Alpine: apk add g++ libc-dev"


class CompilerError(Exception):
    """There is no compiler, or it did not do what it was asked; the message says which and why."""


def find_compiler(wanted: str = "") -> list[str]:
    """The command, its program by full path. `wanted`: a program and its first arguments; empty: any.

    Raises `CompilerError`, which says what to install.
    """
    command = shlex.split(wanted)
    if command:
        program = shutil.which(command[0])
        if program is None:
            raise CompilerError(f"the compiler {command[0]!r} (setting cxx) is not a program; {_INSTALL}")
        return [program, *command[1:]]
    for name in CANDIDATES:
        if (program := shutil.which(name)) is not None:
            return [program]
    raise CompilerError(f"no C++ compiler found (looked for {', '.join(CANDIDATES)}); {_INSTALL}")


def compiler_version(command: Sequence[str]) -> str:
    """The first line that it says of itself. Raises `CompilerError` when it does not start."""
    return (_run([*command, "--version"], VERSION_SECONDS).splitlines() or ["unknown"])[0].strip()


def compile_library(
    command: Sequence[str], flags: Sequence[str], sources: Sequence[Path], output: Path
) -> None:
    """All sources into one shared library. Raises `CompilerError` with the compiler's first error."""
    _run([*command, *flags, *map(str, sources), "-o", str(output)], COMPILE_SECONDS)
    if not output.is_file():
        raise CompilerError(f"{command[0]} ended without an error and without a library")


def _run(command: Sequence[str], limit_seconds: float) -> str:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limit_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CompilerError(f"{command[0]} did not end within {limit_seconds:.0f} s") from None
    except OSError as error:
        raise CompilerError(f"{command[0]} does not start: {error.strerror or error}") from error
    if done.returncode:
        raise CompilerError(f"{command[0]} failed with status {done.returncode}: {_first_error(done.stderr)}")
    return done.stdout


def _first_error(output: str) -> str:
    """The line that says what is wrong; what follows it is mostly its consequence."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[0] if lines else "it said nothing")
