"""The system's C++ compiler: where it is, which one it is, one run of it.

Knows: commands, their output and exit status. Must not know: levels, caches, what is compiled.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

CANDIDATES = ("c++", "g++", "clang++")
COMPILE_SECONDS = 600.0
VERSION_SECONDS = 30.0
END_SECONDS = 2.0  # from being told to end to being made to
_INSTALL = "Debian and Ubuntu: apt-get install g++; Fedora: dnf install gcc-c++; Alpine: apk add g++ libc-dev"


class CompilerError(Exception):
    """There is no compiler, or it did not do what it was asked; the message says which and why."""


def find_compiler(wanted: str = "") -> list[str]:
    """The command, its program by full path. `wanted`: a program and its first arguments; empty: any.

    Raises `CompilerError`, which says what to install.
    """
    try:
        command = shlex.split(wanted)
    except ValueError as error:  # a quote that is not closed
        raise CompilerError(f"the compiler {wanted!r} (setting cxx) is no command line: {error}") from error
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
        with _alone(command) as process:
            output, errors = process.communicate(timeout=limit_seconds)
    except subprocess.TimeoutExpired:
        raise CompilerError(f"{command[0]} did not end within {limit_seconds:.0f} s") from None
    except OSError as error:
        raise CompilerError(f"{command[0]} does not start: {error.strerror or error}") from error
    if process.returncode < 0:
        fault = f"was ended by signal {-process.returncode}, as it may be where memory runs out"
        raise CompilerError(f"{command[0]} {fault}")
    if process.returncode:
        raise CompilerError(f"{command[0]} failed with status {process.returncode}: {_first_error(errors)}")
    return output


@contextmanager
def _alone(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """The command in a process group of its own, of which nothing is left where the block does not end well.

    A compiler is a program that runs others: without it they would go on, for a minute and at full speed.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        process_group=0,
    )
    with process:
        try:
            yield process
        except BaseException:
            _end_group(process)
            raise


def _end_group(process: subprocess.Popen[str]) -> None:
    """First so that it can remove its temporary files."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS)


def _first_error(output: str) -> str:
    """The line that says what is wrong; what follows it is mostly its consequence."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[0] if lines else "it said nothing")
