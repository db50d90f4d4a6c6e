"""A server that says more than a pipe holds before it is ready."""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class _Ready(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()


if __name__ == "__main__":
    sys.stderr.write("much to say\n" * 20_000)
    if "--failing" in sys.argv:
        sys.exit("and no way to go on")
    HTTPServer(("127.0.0.1", int(sys.argv[-1])), _Ready).serve_forever()
