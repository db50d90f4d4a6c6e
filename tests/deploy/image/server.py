"""A server in a container, asked over HTTP.

Knows: its address, its log, the events of a stream. Must not know how the container was made.
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.deploy.image.containers import Containers

PATIENCE = 60.0
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class ContainedServer:
    """A started one. `container`: its id."""

    containers: Containers
    container: str
    port: int

    def get(self, path: str) -> tuple[int, str]:
        """Status and body; status 0 without an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except OSError:
            return 0, ""
        finally:
            connection.close()

    def translate(self, text: str) -> str:
        """Its translation from English to German."""
        with self._asked({"text": text}) as answer:
            assert answer.status == 200, answer.read()
            return str(json.load(answer)["translations"][0]["text"])

    @contextmanager
    def stream(self, text: str) -> Iterator[Iterator[tuple[str, dict[str, Any]]]]:
        """Name and data of each event, as they come."""
        with self._asked({"text": text, "stream": True}) as answer:
            assert answer.status == 200, answer.read()
            yield _events(answer)

    @contextmanager
    def _asked(self, body: dict[str, object]) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            content = json.dumps({"source": "en", "target": "de", **body})
            connection.request("POST", "/v1/translate", content, {"Content-Type": "application/json"})
            yield connection.getresponse()
        finally:
            connection.close()

    def wait_until_ready(self) -> None:
        """Raises `AssertionError` with the log when it ends, or takes too long."""
        self.wait_until(lambda: self.get("/health/ready")[0] == 200, "is not ready")

    def wait_until(self, is_so: Callable[[], bool], fault: str) -> None:
        """Look again and again. Raises `AssertionError` with the log."""
        deadline = time.monotonic() + PATIENCE
        while not is_so():
            is_late = time.monotonic() > deadline or not self.state["Running"]
            assert not is_late, f"the server {fault}:\n{self.containers.log(self.container)}"
            time.sleep(0.1)

    @property
    def state(self) -> dict[str, Any]:
        """Of the container: Running, Pid, ExitCode."""
        return dict(self.containers.inspect(self.container)["State"])

    def logged(self, message: str) -> dict[str, Any]:
        """The fields of the first log line with this message."""
        lines = self.containers.log(self.container).splitlines()
        entries = [json.loads(line) for line in lines if line.startswith("{")]
        return next(dict(entry) for entry in entries if entry["message"] == message)


def _events(answer: http.client.HTTPResponse) -> Iterator[tuple[str, dict[str, Any]]]:
    name = ""
    for line in answer:
        key, _, value = line.decode().rstrip("\n").partition(": ")
        if key == "event":
            name = value
        elif key == "data":
            yield name, json.loads(value)


@contextmanager
def served(
    containers: Containers, image: str, *options: str, health: Sequence[str] = ()
) -> Iterator[ContainedServer]:
    """A server on a free port, ready or not, until the block is left. `health`: see `Containers.started`."""
    port = free_port()
    with containers.started(image, f"--env=VERTO_PORT={port}", *options, health=health) as container:
        yield ContainedServer(containers, container, port)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def status_of(pid: int) -> dict[str, str]:
    """The lines of /proc/PID/status."""
    lines = (PROC / str(pid) / "status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def children_of(pid: int) -> dict[int, str]:
    """Of the process with this number: each child's number, and its state (R, S, Z)."""
    found = {}
    for entry in PROC.glob("[0-9]*/stat"):
        try:
            state, parent = entry.read_text().rpartition(")")[2].split()[:2]
        except OSError:  # it has ended meanwhile
            continue
        if int(parent) == pid:
            found[int(entry.parent.name)] = state
    return found
