"""README's commands, run as a reader would: against a real server with the shipped bundle, answers compared.

Each example is a fenced block of `bash` or `python`; the block after it, `json` or `text`, is its output.
Values that differ from run to run (ids, times) are left out of the comparison.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(bash|python|json|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
START_SECONDS = 120


@dataclass(frozen=True)
class Example:
    language: str
    code: str
    output_kind: str
    output: str

    @property
    def needs_server(self) -> bool:
        return "localhost:8000" in self.code


def examples() -> list[Example]:
    """Every runnable block of README.md that an output block follows."""
    blocks = BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    return [
        Example(language, code, kind, output)
        for (language, code), (kind, output) in pairwise(blocks)
        if language in ("bash", "python") and kind in ("json", "text")
    ]


def environment() -> dict[str, str]:
    """As in a shell whose PATH has the project's commands first."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """`verto serve` with its defaults, but for the port; answers `localhost:PORT`."""
    command = [sys.executable, "-m", "cli.main", "serve", "--port", "0", "--log-format", "json"]
    process = subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    try:
        yield address_in_log(process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def address_in_log(process: subprocess.Popen[str]) -> str:
    """Wait for the line that says the server is ready."""
    assert process.stderr is not None
    deadline = time.monotonic() + START_SECONDS
    for line in process.stderr:
        assert time.monotonic() < deadline, "the server was not ready in time"
        if match := re.search(r'"url": "http://127\.0\.0\.1:(\d+)"', line):
            wait_until_ready(f"localhost:{match[1]}", deadline)
            return f"localhost:{match[1]}"
    raise AssertionError("the server ended before it was ready")


def wait_until_ready(address: str, deadline: float) -> None:
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://{address}/health/ready", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server was not ready in time")


def run(example: Example, address: str) -> str:
    """Standard output of an example, with the test server's address in it."""
    code = example.code.replace("localhost:8000", address)
    command = ["bash", "-euc", code] if example.language == "bash" else [sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def steady(text: str, kind: str) -> object:
    """What of an output is the same at each run."""
    if kind == "json":
        return without_times(json.loads(text))
    return stream_content(text) if text.startswith("id: 1\n") else text.strip()


def without_times(value: object) -> object:
    """An answer without its ids and times, its scores rounded."""
    if isinstance(value, dict):
        volatile = ("id", "request_id", "timings")
        return {name: without_times(one) for name, one in value.items() if name not in volatile}
    if isinstance(value, list):
        return [without_times(one) for one in value]
    return round(value, 2) if isinstance(value, float) else value


def stream_content(text: str) -> tuple[str, list[object]]:
    """The text that the deltas of a stream add up to (how it is cut may differ), and its other events."""
    fields = [
        dict(line.split(": ", 1) for line in event.splitlines()) for event in text.strip().split("\n\n")
    ]
    events = [(one["event"], json.loads(one["data"])) for one in fields]
    sent = "".join(data["text"] for name, data in events if name == "delta")
    return sent, [(name, without_times(data)) for name, data in events if name != "delta"]


def test_the_readme_shows_at_least_three_calls_and_two_commands() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert sum(example.needs_server for example in examples()) >= 3
    assert "make serve" in readme
    assert "make test" in readme


@pytest.mark.parametrize("index", range(len(examples())))
def test_an_example_of_the_readme_prints_what_the_readme_says(index: int, server: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    example = examples()[index]
    printed = run(example, server)
    assert steady(printed, example.output_kind) == steady(example.output, example.output_kind)
