"""A hub on this machine that speaks what the hub's client asks: enough to fetch files of models.

Must not know: the client.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "1" * 40
_LIST = re.compile(r"/api/models/([^/]+/[^/]+)/revision/([^/]+)()")
_FILE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")


class SmallHub:
    """Serves folders by model name; remembers which files were sent."""

    def __init__(self, models: dict[str, Path], gated: tuple[str, ...] = ()) -> None:
        self.models, self.gated = models, gated
        self.sent: list[str] = []
        self.endpoint = ""

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body for a file of a model, or for the list of its files."""
        asked = _LIST.fullmatch(path) or _FILE.fullmatch(path)
        if asked is None:
            return self._missing("EntryNotFound")
        name, revision, file = asked.groups()
        if name in self.gated:
            return 403, {"X-Error-Code": "GatedRepo"}, b""
        if name not in self.models:
            return self._missing("RepoNotFound")
        if revision not in ("main", COMMIT):
            return self._missing("RevisionNotFound")
        if not file:
            return 200, {"Content-Type": "application/json"}, self._list(name)
        if not (self.models[name] / file).is_file():
            return self._missing("EntryNotFound")
        body = (self.models[name] / file).read_bytes()
        return 200, {"ETag": f'"{hashlib.sha1(body).hexdigest()}"', "X-Repo-Commit": COMMIT}, body

    def _list(self, name: str) -> bytes:
        siblings = [{"rfilename": path.name} for path in self.models[name].iterdir()]
        return json.dumps({"id": name, "sha": COMMIT, "siblings": siblings}).encode()

    def _missing(self, code: str) -> tuple[int, dict[str, str], bytes]:
        return 404, {"X-Error-Code": code, "X-Repo-Commit": COMMIT}, b""


@contextmanager
def running(hub: SmallHub) -> Iterator[SmallHub]:
    """The hub on a free port, its address in `endpoint`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._send(with_body=False)

        def do_GET(self) -> None:
            self._send(with_body=True)

        def _send(self, with_body: bool) -> None:
            status, headers, body = hub.answer(self.path.partition("?")[0])
            if with_body and status == 200 and _FILE.match(self.path):
                hub.sent.append(self.path.rpartition("/")[2])
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
