"""A page in a browser and the server behind it, as tests of the web page handle them.

Knows the page's address and labels; must not know what a test wants to find out. Needs playwright.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import ConsoleMessage, Page, Request, expect

from tests.end_to_end.live_server import LiveServer
from tests.fakes import FakeEngine

PATIENCE_MS = 15_000
LIMIT = 500  # characters of a text, as the server of the tests takes them
# A container often has no user namespaces for Chromium's sandbox; the rest keeps it from calling its maker.
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Stage:
    """The server, and the engine behind all its models: en-de, de-en and en-ar."""

    engine: FakeEngine
    server: LiveServer

    def hold(self) -> Callable[[], None]:
        """Segments stand still after their first characters until what this returns is called."""
        gate = asyncio.Event()
        self.engine.gate = gate
        loop = self.server.loop
        assert loop is not None

        def open_gate() -> None:
            self.engine.gate = None
            loop.call_soon_threadsafe(gate.set)

        return open_gate


class Visit:
    """A page that is being looked at, and all that it did since it was opened."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.requests: list[Request] = []
        self.errors: list[str] = []
        self.is_trouble_expected = False  # set by a test that makes errors happen
        page.on("request", lambda one: self.requests.append(one))
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self) -> None:
        """As if for the first time."""
        self.requests.clear()
        self.errors.clear()
        self.is_trouble_expected = False
        self.page.goto(self.url)
        expect(self.page.get_by_label("Translate into")).to_be_enabled()

    def leave(self) -> None:
        """Whatever a test was about: the page must have asked nobody else and complained of nothing."""
        self.page.evaluate("sessionStorage.clear(); localStorage.clear()")
        self.page.goto("about:blank")
        self.page.emulate_media(color_scheme="light", reduced_motion="no-preference")
        self.page.context.clear_permissions()
        self.page.context.set_offline(False)
        asked = [one.url for one in self.requests]
        assert [url for url in asked if not url.startswith((f"{self.url}/", "about:"))] == []
        assert self.is_trouble_expected or self.errors == []

    @property
    def sent(self) -> list[Any]:
        """The bodies of all requests for a translation."""
        return [one.post_data_json for one in self.requests if one.url.endswith("/v1/translate")]

    def write(self, text: str) -> None:
        self.page.get_by_label("Text to translate").fill(text)

    def expect_result(self, text: str) -> None:
        """As the page holds it, with every space and line end."""
        expect(self.page.locator("#result")).to_have_js_property("textContent", text)
        expect(self.page.locator("#result")).to_have_attribute("aria-busy", "false")

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)


def eventually(page: Page, is_so: Callable[[], bool]) -> bool:
    """Whether it becomes so within a time that only a broken thing needs; the page goes on meanwhile."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not is_so() and time.monotonic() < deadline:
        page.wait_for_timeout(10)
    return is_so()
