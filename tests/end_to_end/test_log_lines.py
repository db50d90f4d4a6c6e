"""What a real server and its engine's process write: JSON, line by line, and nothing of what clients sent."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
import urllib.parse
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server_process import PATIENCE, PROC, Server, children_of, one_bundle, serve

SECRET = "Geheimnis"
KEY = "Schluessel4711"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PROC.is_dir(), reason="the engine's process is found through /proc"),
]


def ask(url: str, **body: Any) -> int:
    headers = {"Authorization": f"Bearer {KEY}", "X-Forwarded-For": "203.0.113.77"}
    body = {"source": "en", "target": "de", **body}
    return httpx.post(f"{url}/v1/translate", json=body, headers=headers, timeout=PATIENCE).status_code


def raw(url: str, data: bytes) -> None:
    """Bytes that are no request, or half of one."""
    where = urllib.parse.urlsplit(url)
    with contextlib.closing(socket.create_connection((where.hostname, where.port), 30)) as line:
        line.sendall(data)
        line.settimeout(2)
        with contextlib.suppress(OSError):
            line.recv(100)


def kill_the_engine(server: Server) -> None:
    (engine,) = children_of(server.process.pid)
    os.kill(engine, signal.SIGKILL)
    server.wait_for_line("the engine's process died")
    server.wait_for_line("the engine's process is ready")


def test_every_line_is_json_and_holds_nothing_that_a_client_sent(tmp_path: Path) -> None:
    with serve("--models-dir", str(one_bundle(tmp_path)), "--num-threads", "1") as server:
        url = str(server.wait_for_line("ready")["url"])
        assert ask(url, text=f"{SECRET} is here.") == 200
        assert ask(url, text=f"{SECRET} is here.", stream=True) == 200
        assert ask(url, text=SECRET, target=SECRET) == 422
        assert ask(url, text=f"{SECRET} again. " * 300, timeout_ms=1) == 504
        assert httpx.get(f"{url}/{SECRET}?key={KEY}").status_code == 404
        raw(url, f"{SECRET} / HTTP/9.9\r\n\r\n".encode())
        raw(url, f"POST /v1/translate HTTP/1.1\r\nHost: x\r\nX-{SECRET}\r\n\r\n".encode())
        raw(url, f'POST /v1/translate HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\n{{"{SECRET}'.encode())
        kill_the_engine(server)
        assert ask(url, text=f"{SECRET} once more.") == 200
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        assert server.end() == 0
    lines = [json.loads(line) for line in server.lines]
    assert [line for line in server.lines if SECRET in line or KEY in line or "203.0.113.77" in line] == []
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    requests = [line for line in lines if line["message"] == "request"]
    assert {line["status"] for line in requests} >= {200, 404, 422, 504}
    assert all({"request_id", "method", "route", "status", "duration_ms"} <= set(line) for line in requests)
    assert {(line.get("model"), line.get("pair")) for line in requests if line["status"] == 200} == {
        ("en-de", "en-de")
    }
    by_the_engine = {line["logger"] for line in lines if line["logger"].startswith("service.engine.network")}
    assert by_the_engine, "the engine's process has written nothing"
