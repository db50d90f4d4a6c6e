"""The users: texts with their translations beforehand, locust as a process of its own, outcomes afterwards.

Knows: files, locust's command line. Must not know: acts, balancers.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtests.machine import ROOT
from loadtests.rehearsal.outcome import Outcome, read_outcomes
from loadtests.rehearsal.replica import translated
from loadtests.workload import made_up

USERS_FILE = Path(__file__).with_name("users.py")
MOST_SENTENCES = 3
STOP_SECONDS = 90.0  # for requests that run when the users are told to stop


class LoadFault(RuntimeError):
    """Locust ended early; says with what."""


@dataclass(frozen=True, slots=True)
class Files:
    """What users read and write."""

    texts: Path
    outcomes: Path


def written_texts(port: int, folder: Path, count: int, seed: int = 0) -> Files:
    """So many short texts and what this server makes of them, before anything happens to any server."""
    texts = _texts(count, seed)
    translations = translated(port, texts)
    pairs = [{"text": text, "translation": to} for text, to in zip(texts, translations, strict=True)]
    files = Files(folder / "texts.json", folder / "outcomes.jsonl")
    files.texts.write_text(json.dumps(pairs), encoding="utf-8")
    return files


def _texts(count: int, seed: int) -> list[str]:
    rng, sentences = random.Random(seed), iter(made_up(count * MOST_SENTENCES, seed).sentences)
    return [" ".join(next(sentences) for _ in range(rng.randint(1, MOST_SENTENCES))) for _ in range(count)]


class Users:
    """Locust with its users, from the start of the block to its end; every request is let end."""

    def __init__(self, url: str, files: Files, num_users: int, log: Path) -> None:
        self._files, self._log = files, log
        self._command = [
            sys.executable, "-m", "locust", "--locustfile", str(USERS_FILE), "--headless", "--host", url,
            "--users", str(num_users), "--spawn-rate", str(num_users),
            "--stop-timeout", f"{STOP_SECONDS:.0f}", "--only-summary", "--loglevel", "WARNING",
            "--exit-code-on-error", "0",
            "--texts", str(files.texts), "--outcomes", str(files.outcomes),
        ]  # fmt: skip

    def __enter__(self) -> Users:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, cwd=ROOT, stdout=log, stderr=log)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS + 10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def outcomes(self) -> Sequence[Outcome]:
        """So far. Raises LoadFault where locust has ended by itself."""
        if self._process.poll() not in (None, 0):
            raise LoadFault(f"locust ended: {self._log.read_text(errors='replace')[-2000:]}")
        return list(read_outcomes(self._files.outcomes))
