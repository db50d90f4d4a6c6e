"""A small HTTP server on this machine that serves files as good, slow and bad servers do.

Knows: ranges, conditions, redirections, and the faults that a test asks for, one a request. Must not know:
what a test wants to find out.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer(ThreadingHTTPServer):
    """`files` by path; `faults` are used up one a request: a status, or "cut" after half of what is due."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.redirections: dict[str, str] = {}
        self.faults: list[int | str] = []
        self.tag: str | None = '"one"'
        self.ranges = True
        self.most_bytes: int | None = None  # of an answer to a range
        self.lengths = True  # whether it says how much comes
        self.requests: list[dict[str, str]] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up in the middle is what some tests are about."""

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{path}"


class _Handler(BaseHTTPRequestHandler):
    server: FileServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.requests.append(dict(self.headers.items()))
        fault = self.server.faults.pop(0) if self.server.faults else None
        content = self.server.files.get(self.path.lstrip("/"))
        elsewhere = self.server.redirections.get(self.path.lstrip("/"))
        if elsewhere is not None:
            self._answer(302, {"Location": self.server.url(elsewhere)}, b"")
        elif isinstance(fault, int):
            self._answer(fault, {"Retry-After": "3"}, b"")
        elif content is None:
            self._answer(404, {}, b"")
        else:
            self._serve(content, cut=fault == "cut")

    def _serve(self, content: bytes, *, cut: bool) -> None:
        start = self._start()
        if start >= len(content) > 0:
            self._answer(416, {"Content-Range": f"bytes */{len(content)}"}, b"")
            return
        headers = {"ETag": self.server.tag} if self.server.tag else {}
        rest = content[start:][: self.server.most_bytes if start else None]
        if start:
            headers["Content-Range"] = f"bytes {start}-{start + len(rest) - 1}/{len(content)}"
        self._answer(206 if start else 200, headers, rest, sent=len(rest) // 2 if cut else len(rest))

    def _start(self) -> int:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        condition = self.headers.get("If-Range", self.server.tag)
        return int(asked[1]) if asked and self.server.ranges and condition == self.server.tag else 0

    def _answer(self, status: int, headers: dict[str, str], body: bytes, sent: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.server.lengths:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:sent])
        self.close_connection = not self.server.lengths or (sent is not None and sent < len(body))

    def log_message(self, format: str, *args: object) -> None: ...


@contextmanager
def serving() -> Iterator[FileServer]:
    with FileServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
