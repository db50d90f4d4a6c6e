"""Prometheus and Alertmanager as processes of their own on free ports, and the questions that tests ask.

Knows their command lines, configuration and HTTP APIs; must not know what is scraped or why.
"""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

START_SECONDS = 60.0
ANSWER_SECONDS = 20.0
PROMETHEUS, ALERTMANAGER = "prometheus", "prometheus-alertmanager"


def free_port() -> int:
    """One that nobody has at the moment: these programs cannot be handed a socket."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def fetch(address: str) -> str:
    """Raises `OSError` while nobody answers, and for a refusal."""
    with urllib.request.urlopen(address, timeout=ANSWER_SECONDS) as answer:
        text: str = answer.read().decode()
        return text


def wait_until(condition: Callable[[], bool], seconds: float, what: Callable[[], str]) -> None:
    """Raises AssertionError with what was missing once the time is up."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what()}"
        time.sleep(0.2)


@contextmanager
def program(command: list[str], address: str, log: Path) -> Iterator[None]:
    """Running and ready until the block is left; then killed. Its output is shown when it does not start."""
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            wait_until(
                lambda: process.poll() is not None or _answers(address),
                START_SECONDS,
                lambda: f"{command[0]} at {address}\n{log.read_text()}",
            )
            assert process.poll() is None, f"{command[0]} ended:\n{log.read_text()}"
            yield
        finally:
            process.kill()


def _answers(address: str) -> bool:
    try:
        fetch(address)
    except OSError:
        return False
    return True


@dataclass(frozen=True)
class Prometheus:
    """A running one."""

    url: str

    def query(self, expression: str) -> list[Any]:
        """The series of an instant query, NaN left out. Raises AssertionError with Prometheus' own words."""
        address = f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        try:
            answer = json.loads(fetch(address))
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{expression}: {error.read().decode()}") from None
        found = answer["data"]["result"]
        return [found] if answer["data"]["resultType"] == "scalar" else found

    def has(self, expression: str) -> bool:
        return bool(self.query(expression))


@contextmanager
def prometheus(
    folder: Path, jobs: list[dict[str, Any]], rules: Path | None = None, alertmanager: str | None = None
) -> Iterator[Prometheus]:
    """Scrapes `jobs` and evaluates `rules` each second; keeps its data in the folder."""
    config: dict[str, Any] = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "scrape_configs": jobs,
    }
    if rules is not None:
        config["rule_files"] = [str(rules)]
    if alertmanager is not None:
        targets = [{"targets": [alertmanager.removeprefix("http://")]}]
        config["alerting"] = {"alertmanagers": [{"static_configs": targets}]}
    written = folder / "prometheus.yaml"
    written.write_text(yaml.safe_dump(config))
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        PROMETHEUS,
        f"--config.file={written}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        "--log.level=warn",
    ]
    with program(command, f"{url}/-/ready", folder / "prometheus.log"):
        yield Prometheus(url)


@contextmanager
def alertmanager(folder: Path, receiver: str) -> Iterator[str]:
    """Hands every alert to the receiver's address within a second; answers its own address."""
    config = {
        "route": {
            "receiver": "test",
            "group_by": ["alertname"],
            "group_wait": "1s",
            "group_interval": "1s",
            "repeat_interval": "1h",
        },
        "receivers": [{"name": "test", "webhook_configs": [{"url": receiver, "send_resolved": True}]}],
    }
    written = folder / "alertmanager.yaml"
    written.write_text(yaml.safe_dump(config))
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        ALERTMANAGER,
        f"--config.file={written}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        "--cluster.listen-address=",
        "--log.level=warn",
    ]
    with program(command, f"{url}/-/ready", folder / "alertmanager.log"):
        yield url


def target(address: str, **labels: str) -> dict[str, Any]:
    """A job that scrapes one server, with the labels that Kubernetes would give it."""
    where = address.removeprefix("http://")
    return {"job_name": "verto", "static_configs": [{"targets": [where], "labels": labels}]}
