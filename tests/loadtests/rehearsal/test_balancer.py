"""HAProxy takes the committed configuration, streams pass it at once, and it does what its socket is told."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from loadtests.rehearsal import balancer
from loadtests.rehearsal.balancer import BalancerFault, environment, found_program, running_balancer
from loadtests.rehearsal.waiting import TookTooLong, wait_until
from loadtests.servers import free_port

with_haproxy = pytest.mark.skipif(found_program() is None, reason="no haproxy is installed")
TEXT = balancer.CONFIGURATION.read_text(encoding="utf-8")


class Replica(BaseHTTPRequestHandler):
    """Ready, and answers with its port; says 503 to every request but a health check while it is `going`."""

    going: set[int]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(200)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(503 if self.server.server_port in self.going else 200)

    def _answer(self, status: int) -> None:
        body = str(self.server.server_port).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def replicas() -> Iterator[dict[str, int]]:
    Replica.going = set()
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Replica) for _ in range(2)]
    for one in servers:
        threading.Thread(target=one.serve_forever, daemon=True).start()
    try:
        yield {f"r{number}": one.server_port for number, one in enumerate(servers, start=1)}
    finally:
        for one in servers:
            one.shutdown()
            one.server_close()


def ask(port: int) -> int:
    """The port of the replica that answered."""
    with urlopen(Request(f"http://127.0.0.1:{port}/v1/translate", b"{}"), timeout=10) as answer:
        return int(answer.read())


def test_the_configuration_asks_for_what_it_is_given() -> None:
    asked = set(re.findall(r'"\$\{(\w+)(?:\[\*\])?\}"', TEXT))
    given = environment({"r1": 1, "r2": 2}, 3, Path("x"), "conn-failure", "leastconn")
    assert asked == {"CONTROL_SOCKET", "LISTEN", "RETRY_ON", "BALANCE", "REPLICA_1", "REPLICA_2"}
    assert asked <= given.keys()


def test_streams_are_not_held_back_and_admin_routes_not_shown() -> None:
    lines = [line.strip() for line in TEXT.splitlines()]
    assert "option http-no-delay" in lines
    assert "option httpchk GET /health/ready" in lines
    assert any("deny" in line and "/v1/admin /metrics" in line for line in lines)


@with_haproxy
def test_a_drained_server_gets_nothing_until_it_is_ready_again(tmp_path: Path) -> None:
    with replicas() as ports, running_balancer(ports, tmp_path, balance="roundrobin") as running:
        assert {ask(running.port) for _ in range(8)} == set(ports.values())
        running.drain("r1")
        assert {ask(running.port) for _ in range(8)} == {ports["r2"]}
        assert running.states()["r1"].status == "DRAIN"
        running.ready("r1")
        wait_until(lambda: running.states()["r1"].is_up, 10, "r1 is up")
        assert {ask(running.port) for _ in range(8)} == set(ports.values())


@with_haproxy
def test_a_request_that_is_refused_because_of_a_restart_is_asked_elsewhere(tmp_path: Path) -> None:
    with replicas() as ports, running_balancer(ports, tmp_path, balance="roundrobin") as running:
        Replica.going.add(ports["r1"])
        assert {ask(running.port) for _ in range(8)} == {ports["r2"]}
        assert sum(one.retries for one in running.states().values()) > 0


@with_haproxy
def test_the_admin_routes_are_not_there(tmp_path: Path) -> None:
    with (
        replicas() as ports,
        running_balancer(ports, tmp_path) as running,
        pytest.raises(OSError, match="404"),
    ):
        urlopen(f"{running.url}/v1/admin/models", timeout=10)


@with_haproxy
def test_what_haproxy_refuses_is_told(tmp_path: Path) -> None:
    ports = {"r1": free_port(), "r2": free_port()}
    with (
        pytest.raises(BalancerFault, match="balance only supports"),
        running_balancer(ports, tmp_path, balance="nonsense"),
    ):
        pass
    with running_balancer(ports, tmp_path) as running, pytest.raises(BalancerFault, match="No such server"):
        running.drain("r9")


def test_without_haproxy_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balancer, "found_program", lambda: None)
    with pytest.raises(BalancerFault, match="apt-get install haproxy"), running_balancer({}, tmp_path):
        pass


def test_waiting_ends_and_says_for_what() -> None:
    assert wait_until(lambda: True, 1, "it is so") < 1
    with pytest.raises(TookTooLong, match="not within 0 s: pigs fly"):
        wait_until(lambda: False, 0.1, "pigs fly")
