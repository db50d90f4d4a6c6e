"""Clients that ask without a pause, each in a thread: whole answers, streams, beams; what they got is kept.

Knows the API; must not know what happens to the server meanwhile.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.server_process import PATIENCE
from tests.service.http_client import read_events, streamed_texts


@dataclass
class Answers:
    """By request, as JSON: the translations that came. `faults` are answers of any other kind."""

    texts: dict[str, set[str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    count: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, body: Mapping[str, Any], text: str) -> None:
        with self.lock:
            self.count += 1
            self.texts.setdefault(json.dumps(body), set()).add(text)

    def note_fault(self, fault: str) -> None:
        with self.lock:
            self.faults.append(fault)


def ask(client: httpx.Client, url: str, body: Mapping[str, Any]) -> str:
    """The translation of the request's one text. Raises AssertionError for any other answer."""
    response = client.post(url + "/v1/translate", json=body)
    assert response.status_code == 200, f"{response.status_code} {response.text[:300]}"
    if not body.get("stream"):
        return str(response.json()["translations"][0]["text"])
    events = read_events(response.text)
    assert events[-1].name == "done", f"{events[-1]}"
    return streamed_texts(events, 1)[0]


@contextmanager
def busy_clients(url: str, bodies: Sequence[Mapping[str, Any]], count: int) -> Iterator[Answers]:
    """So many clients at once, until the block is left; each request begun is waited for."""
    answers, is_over = Answers(), threading.Event()

    def work(first: int) -> None:
        with httpx.Client(timeout=PATIENCE) as client:
            turn = first
            while not is_over.is_set():
                body = bodies[turn % len(bodies)]
                turn += 1
                try:
                    answers.note(body, ask(client, url, body))
                except (AssertionError, httpx.HTTPError) as fault:
                    answers.note_fault(f"{type(fault).__name__}: {fault}")

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        is_over.set()
        for thread in threads:
            thread.join(PATIENCE)
