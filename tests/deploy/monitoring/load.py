"""A little of everything that a server meets, so that every metric has moved once.

Knows the native API; must not know which metrics there are.
"""

from __future__ import annotations

import contextlib
import socket
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import httpx

TEXT = "The committee decided yesterday that the new rules will apply from the first of January."
ENGLISH = {"source": "en", "target": "de"}


def some_of_everything(url: str) -> None:
    """Translations, a batch, a stream, four at once, refusals, a passed deadline, a client that hangs up.

    Raises AssertionError where one ends otherwise than meant.
    """
    with httpx.Client(base_url=url, timeout=120.0) as client, ThreadPoolExecutor(4) as pool:
        ask = lambda **body: client.post("/v1/translate", json={**ENGLISH, **body}).status_code  # noqa: E731
        alike = [pool.submit(ask, text=TEXT, beam_size=4) for _ in range(4)]
        codes = [
            *(one.result() for one in alike),
            ask(text=[TEXT, "Good morning.", "It is raining."], beam_size=2),
            ask(text=TEXT, stream=True, strategy="greedy"),
            client.post("/v1/detect", json={"text": TEXT}).status_code,
        ]
        assert codes == [200] * len(codes), codes
        assert ask(text="x" * 100_001) == 413
        assert ask(text=TEXT, beam_size=0) == 422
        _pass_a_deadline(client)
        _leave(url)


def _pass_a_deadline(client: httpx.Client) -> None:
    """A text that takes longer than it may: 504, the one server error that can be had at will."""
    body = {**ENGLISH, "text": " ".join([TEXT] * 20), "timeout_ms": 1}
    assert client.post("/v1/translate", json=body).status_code == 504


def _leave(url: str) -> None:
    """Ask for a long translation and hang up."""
    where = urllib.parse.urlsplit(url)
    body = b'{"source": "en", "target": "de", "text": "%s"}' % " ".join([TEXT] * 20).encode()
    head = f"POST /v1/translate HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    with contextlib.closing(socket.create_connection((where.hostname, where.port), 30)) as line:
        line.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
