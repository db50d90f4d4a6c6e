"""Reads a server's metrics page once a second beside the load, and makes numbers of it afterwards.

Knows: the page's format, which of Verto's metrics say how full it is. Must not know: loads.
Pages are kept as they are until the load is over: reading them takes time that requests would be late by.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from prometheus_client.parser import text_string_to_metric_families

from loadtests.traffic.address import Address
from loadtests.traffic.windows import Scrape

EVERY_SECONDS = 1.0
PREFIX = "verto_"
# Summed over their labels.
NAMES = (
    "running_rows", "running_segments", "queue_segments", "queue_tokens", "backlog_seconds",
    "cache_bytes_used", "cache_bytes_limit", "engine_restarts_total", "rejected_total", "cancelled_total",
    "coalesced_total",
)  # fmt: skip


class Scraper:
    """Scrapes in a thread of its own for as long as its `with` block lasts."""

    def __init__(self, address: Address, every_seconds: float = EVERY_SECONDS) -> None:
        self._address, self._every_seconds = address, every_seconds
        self._pages: list[tuple[float, bytes]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.fault = ""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._every_seconds):
            at = time.time()
            try:
                status, page = self._address.get("/metrics", self._every_seconds)
            except (OSError, ValueError) as error:
                self.fault = f"GET /metrics: {error}"
                continue
            if status == 200:
                self._pages.append((at, page))
            else:
                self.fault = f"GET /metrics: status {status}"

    def scrapes(self) -> Sequence[Scrape]:
        """All pages, with their Unix time."""
        return [Scrape(at, read_page(page)) for at, page in self._pages]


def read_page(page: bytes) -> Mapping[str, float]:
    """The numbers of `NAMES` that are there; nothing of a page that is none."""
    found: dict[str, float] = {}
    try:
        for family in text_string_to_metric_families(page.decode(errors="replace")):
            for sample in family.samples:
                name = sample.name.removeprefix(PREFIX)
                if sample.name.startswith(PREFIX) and name in NAMES:
                    found[name] = found.get(name, 0.0) + sample.value
    except ValueError:
        return {}
    return found
