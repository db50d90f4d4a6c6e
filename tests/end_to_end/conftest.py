"""A browser, and the real app over fake engines for it to look at; playwright only where one is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from service.app import create_app
from service.settings import Settings
from tests.end_to_end.live_server import live_server
from tests.fakes import FakeEngine, fake_translator, served_model

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.end_to_end.page_visit import Stage


@pytest.fixture(scope="module")
def browser(chromium_path: Path) -> Iterator[Browser]:
    from playwright.sync_api import expect, sync_playwright

    from tests.end_to_end.page_visit import CHROMIUM_ARGUMENTS, PATIENCE_MS

    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium_path, args=CHROMIUM_ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    from tests.end_to_end.page_visit import LIMIT, Stage

    engine = FakeEngine()
    models = [
        served_model(engine, f"{source}-{target}", [(source, target)])
        for source, target in [("en", "de"), ("de", "en"), ("en", "ar")]
    ]
    app = create_app(fake_translator(*models, max_text_characters=LIMIT), Settings(max_text_characters=LIMIT))
    with live_server(app) as server:
        yield Stage(engine, server)
