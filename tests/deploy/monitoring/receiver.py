"""Somebody whom Alertmanager tells: an HTTP server that keeps every alert that it is sent.

Knows Alertmanager's webhook format; must not know which alerts there are.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Receiver:
    """`url` is where alerts are to be sent."""

    url: str
    alerts: list[dict[str, Any]] = field(default_factory=list)

    def heard(self, name: str, status: str) -> list[dict[str, Any]]:
        """What was said of this alert, `firing` or `resolved`, in order."""
        return [one for one in self.alerts if (one["labels"]["alertname"], one["status"]) == (name, status)]


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Until the block is left."""
    alerts: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            alerts.extend(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["alerts"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Not on the terminal."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield Receiver(f"http://127.0.0.1:{server.server_address[1]}/", alerts)
        finally:
            server.shutdown()
            thread.join(10)
