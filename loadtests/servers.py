"""Starts a server as a process of its own on a free port, waits until it is ready, and ends it.

Knows processes and ports. Must not know what the servers do.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO
from urllib.error import URLError
from urllib.request import urlopen

from loadtests.machine import ROOT

START_SECONDS, STOP_SECONDS = 120.0, 30.0
POLL_SECONDS = 0.05


class ServerFault(RuntimeError):
    """The server ended, or did not become ready in time."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is ready, and how long that took from its command on."""

    port: int
    process_id: int
    ready_seconds: float


@contextlib.contextmanager
def running_server(module: str, *options: str) -> Iterator[int]:
    """`python -m MODULE OPTIONS --port N` until the block is left; gives the port. Raises ServerFault."""
    with started_server(module, *options) as server:
        yield server.port


@contextlib.contextmanager
def started_server(module: str, *options: str) -> Iterator[Server]:
    """The same, with what is known of its start."""
    port = free_port()
    command = [sys.executable, "-m", module, *options, "--port", str(port)]
    began = time.monotonic()
    with tempfile.TemporaryFile() as said:  # no pipe: nobody reads it, and one that is full stops the server
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=said)
        try:
            _wait_until_ready(process, command, port, said)
            yield Server(port, process.pid, time.monotonic() - began)
        finally:
            _stop(process)


def free_port() -> int:
    """One of this machine that nobody listens on at the moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait_until_ready(
    process: subprocess.Popen[bytes], command: Sequence[str], port: int, said: IO[bytes]
) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            said.seek(0)
            text = said.read().decode(errors="replace")
            raise ServerFault(f"{' '.join(command[1:])} ended: {text[-2000:]}")
        if is_ready(port):
            return
        time.sleep(POLL_SECONDS)
    raise ServerFault(f"{' '.join(command[1:])} was not ready after {START_SECONDS:.0f} s")


def is_ready(port: int) -> bool:
    """Whether a server of this machine takes work; False also where nobody listens."""
    with (
        contextlib.suppress(URLError, ConnectionError, TimeoutError),
        urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=2) as answer,
    ):
        return bool(answer.status == 200)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
