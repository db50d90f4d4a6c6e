"""A copy of the Makefile and the scripts in its own folder, with a Python that only pretends to install."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Answers as much of Python's command line as the scripts use; the files beside it say how it should behave.
_PRETENDER = """#!/bin/sh
here={folder}
case "$*" in
    --version) echo "Python 3.11.99" ;;
    "-c import sys"*) [ ! -e "$here/too-old" ] ;;
    "-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python && echo venv >>"$here/log" ;;
    "-m pip --version") ;;
    "-m pip install"*) echo "$*" >>"$here/log"; [ ! -e "$here/pip-fails" ] ;;
    *) echo "ran: $*" ;;
esac
"""


@dataclass(frozen=True)
class Checkout:
    """A scratch checkout. `pretender` is the folder of the pretended Python."""

    folder: Path
    pretender: Path

    def make(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run make to its end; `check` wants it to succeed."""
        done = subprocess.run(["make", *arguments], **self._settings(), stderr=subprocess.PIPE, timeout=60)
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start make in a process group of its own, as a terminal does."""
        return subprocess.Popen(["make", *arguments], **self._settings(), start_new_session=True)

    def _settings(self) -> dict[str, Any]:
        # PATH alone: an outer `make test ARGS=...` has put its own choices into the environment.
        environment = {"PATH": os.environ["PATH"], "PYTHON": str(self.pretender / "python")}
        return {"cwd": self.folder, "env": environment, "text": True, "stdout": subprocess.PIPE}

    def installs(self) -> Sequence[str]:
        """What was created and installed since the last call, in order."""
        log = self.pretender / "log"
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines

    def stamps(self) -> list[str]:
        """The kinds of environment that count as finished."""
        return sorted(path.name.split("-")[1] for path in self.folder.glob(".venv/.installed-*"))


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A scratch checkout whose Python installs nothing. Skipped where there is no make."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    folder, pretender = tmp_path / "a checkout", tmp_path / "pretender"
    pretender.mkdir()
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(ROOT / name, folder / name)
    python = pretender / "python"
    python.write_text(_PRETENDER.format(folder=pretender), encoding="utf-8")
    python.chmod(0o755)
    return Checkout(folder, pretender)
