"""`verto health` ends with what the server answers, and tells every way of not answering apart."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Verto


class _Health(http.server.BaseHTTPRequestHandler):
    """Has started, is not ready."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health/startup" else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Health) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
def test_a_server_with_these_settings_is_asked(
    verto: Verto, port: int, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VERTO_PORT", str(port))
    monkeypatch.setenv("VERTO_HOST", host)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # which nothing is sent through
    ended = verto("health")
    assert (ended.code, ended.text) == (0, f"http://127.0.0.1:{port}/health/startup: ok\n")


@pytest.mark.parametrize("check", ["live", "ready"])
def test_what_is_not_so_ends_with_1(verto: Verto, port: int, check: str) -> None:
    ended = verto("health", "--check", check, "--url", f"http://127.0.0.1:{port}/")
    assert ended.code == 1
    assert ended.err == f"verto: http://127.0.0.1:{port}/health/{check}: status 503\n"


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://127.0.0.1:1", "no answer ([Errno 111] Connection refused)"),
        ("http://[::1", "no answer (Invalid IPv6 URL)"),
    ],
)
def test_no_answer_ends_with_1_and_the_reason(verto: Verto, url: str, fault: str) -> None:
    ended = verto("health", "--url", url)
    assert ended.code == 1
    assert ended.err == f"verto: {url}/health/startup: {fault}\n"


@pytest.mark.parametrize("url", ["nonsense", "127.0.0.1:8000", "file:///etc/passwd", ""])
def test_what_is_no_address_is_told_as_such(verto: Verto, url: str) -> None:
    ended = verto("health", "--url", url)
    fault = f"verto: --url must be an address such as http://localhost:8000, got {url!r}\n"
    assert (ended.code, ended.err) == (1, fault)


def test_ipv6_is_asked_at_the_machine_itself(verto: Verto, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERTO_HOST", "::")
    monkeypatch.setenv("VERTO_PORT", "1")
    assert verto("health").err.startswith("verto: http://[::1]:1/health/startup: no answer")


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--check", "well"], "--check must be one of startup, live, ready, got 'well'"),
        (["--timeout-seconds", "0"], "greater than or equal to 0.1"),
        (["--timeout-seconds", "inf"], "less than or equal to 86400"),
        (["--timeout-seconds", "1e300"], "less than or equal to 86400"),
    ],
)
def test_a_wrong_option_ends_with_2(verto: Verto, arguments: list[str], fault: str) -> None:
    ended = verto("health", *arguments)
    assert ended.code == 2
    assert fault in " ".join(ended.err.split())


def test_a_port_that_only_the_server_knows_has_to_be_given(
    verto: Verto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VERTO_PORT", "0")
    ended = verto("health")
    assert ended.code == 2
    assert "give --url" in ended.err


def test_an_answer_that_is_no_http_is_told(verto: Verto, tmp_path: Path) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Garbage) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        ended = verto("health", "--url", f"http://127.0.0.1:{server.server_port}")
        thread.join()
    assert (ended.code, "no answer" in ended.err) == (1, True)


class _Garbage(_Health):
    def do_GET(self) -> None:
        self.wfile.write(b"what?\r\n\r\n")
