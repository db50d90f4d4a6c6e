"""HAProxy as a process: its committed configuration, and its runtime socket.

Knows: HAProxy's commands. Must not know: what the servers do, why one is taken out.
"""

from __future__ import annotations

import contextlib
import csv
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtests.servers import free_port

CONFIGURATION = Path(__file__).with_name("haproxy.cfg")
BACKEND = "replicas"
SECONDS = 10.0
# What is asked of another replica: what fails before its answer begins, or only what nobody has taken.
PATIENT, PLAIN = "conn-failure empty-response 503", "conn-failure"


class BalancerFault(RuntimeError):
    """HAProxy is not there, or does not start, or does not answer; says which."""


def found_program() -> str | None:
    """HAProxy on the path, or where Debian puts it, which is on no user's path."""
    return shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")


def required_program() -> str:
    """Raises BalancerFault where there is none."""
    program = found_program()
    if program is None:
        raise BalancerFault("there is no haproxy; install it (Debian: apt-get install haproxy)")
    return program


@dataclass(frozen=True, slots=True)
class ServerState:
    """One server as the balancer sees it; `retries` counts requests that were sent elsewhere after it."""

    status: str
    sessions: int
    retries: int

    @property
    def is_up(self) -> bool:
        return self.status == "UP"


@dataclass(frozen=True, slots=True)
class Balancer:
    """A running HAProxy."""

    port: int
    control: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def states(self) -> dict[str, ServerState]:
        """By the names of the servers."""
        lines = self._command("show stat").removeprefix("# ").splitlines()
        rows = [
            row for row in csv.DictReader(lines) if row["pxname"] == BACKEND and row["svname"] != "BACKEND"
        ]
        return {
            row["svname"]: ServerState(
                row["status"], int(row["scur"]), int(row["wretr"]) + int(row["wredis"])
            )
            for row in rows
        }

    def drain(self, name: str) -> None:
        """Nothing new goes to this server; what runs there goes on."""
        self._command(f"set server {BACKEND}/{name} state drain")

    def ready(self, name: str) -> None:
        """The server takes part again as soon as its health check succeeds."""
        self._command(f"set server {BACKEND}/{name} state ready")

    def _command(self, line: str) -> str:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(SECONDS)
            connection.connect(str(self.control))
            connection.sendall(line.encode() + b"\n")
            answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        if line.startswith("set ") and answer.strip():
            raise BalancerFault(f"HAProxy refused {line!r}: {answer.strip()}")
        return answer


def environment(
    servers: Mapping[str, int], port: int, control: Path, retry_on: str, balance: str
) -> dict[str, str]:
    """What the configuration asks the environment for; `servers` are names and ports of this machine."""
    first, second = (f"127.0.0.1:{each}" for each in servers.values())
    return {
        "CONTROL_SOCKET": str(control),
        "LISTEN": f"127.0.0.1:{port}",
        "RETRY_ON": retry_on,
        "BALANCE": balance,
        "REPLICA_1": first,
        "REPLICA_2": second,
    }


@contextlib.contextmanager
def running_balancer(
    servers: Mapping[str, int], folder: Path, retry_on: str = PATIENT, balance: str = "leastconn"
) -> Iterator[Balancer]:
    """Until the block is left; its files lie in `folder`. Raises BalancerFault."""
    balancer = Balancer(free_port(), folder / "haproxy.sock")
    command = [required_program(), "-f", str(CONFIGURATION)]
    variables = environment(servers, balancer.port, balancer.control, retry_on, balance)
    _checked(command, variables)
    process = subprocess.Popen([*command, "-db", "-q"], env=variables, stderr=subprocess.DEVNULL)
    try:
        _wait_for(balancer, process)
        yield balancer
    finally:
        process.kill()
        process.wait()


def _checked(command: Sequence[str], variables: Mapping[str, str]) -> None:
    found = subprocess.run([*command, "-c"], env=variables, capture_output=True, text=True, timeout=SECONDS)
    if found.returncode or "WARNING" in found.stderr:
        raise BalancerFault(f"haproxy does not take its configuration: {found.stderr.strip()}")


def _wait_for(balancer: Balancer, process: subprocess.Popen[bytes]) -> None:
    from loadtests.rehearsal.waiting import wait_until

    def answers() -> bool:
        if process.poll() is not None:
            raise BalancerFault(f"haproxy ended with exit code {process.returncode}")
        with contextlib.suppress(OSError):
            return bool(balancer.states())
        return False

    wait_until(answers, SECONDS, "haproxy answers on its socket")
