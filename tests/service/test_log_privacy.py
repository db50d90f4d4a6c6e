"""No text, key or address of a client is in any log line, whatever is sent where, and however it ends.

Routes are found in the app itself, so one that is added later is asked too.
"""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from service.engine.errors import StepFailed
from service.log import JsonFormatter
from service.settings import Settings
from tests.fakes import FakeEngine, served_model
from tests.service.http_client import app_client

TEXT, KEY, ADDRESS = "Geheimnis", "Schluessel-4711-0815", "203.0.113.77"
SECRETS = (TEXT, KEY, ADDRESS)
HEADERS = {
    "Authorization": f"Bearer {KEY}",
    "X-Api-Key": KEY,
    "X-Forwarded-For": ADDRESS,
    "Forwarded": f"for={ADDRESS}",
    "User-Agent": TEXT,
    "Cookie": f"session={KEY}",
    "X-Request-ID": f"{TEXT} {KEY}",  # not a sane one, so it is replaced
}
# One for each way that the API's flavours take a text, well formed and not.
BODIES: list[Any] = [
    {"text": TEXT},
    {"text": [TEXT, TEXT], "stream": True},
    {"text": TEXT, "source": TEXT, "target": TEXT, "model": TEXT},
    {"text": TEXT, TEXT: TEXT},
    {"text": TEXT, "prefix": TEXT, "banned": [TEXT], "strategy": TEXT},
    {"q": TEXT, "source": "en", "target": "de", "api_key": KEY},
    {"text": [TEXT], "target_lang": "DE", "auth_key": KEY},
    {"model": "en-de", "prompt": TEXT, "stream": True},
    [TEXT],
    TEXT,
]


class Lines(logging.Handler):
    """Keeps records as the lines that are written by default."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(JsonFormatter())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@contextmanager
def logged() -> Iterator[list[str]]:
    """Every line of every logger at the default level."""
    root, handler = logging.getLogger(), Lines()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.getLogger("httpx").disabled = logging.getLogger("httpx2").disabled = True  # the test's own client
    try:
        yield handler.lines
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
        logging.getLogger("httpx").disabled = logging.getLogger("httpx2").disabled = False


def broken(text: str) -> str:
    raise ValueError(f"cannot translate {text}")


@cache
def servers() -> dict[str, TestClient]:
    """Well, failing by a defect that quotes the text, failing by the engine; with an admin API, whose key is
    given or not."""
    return {
        "well": app_client(served_model(FakeEngine())),
        "defect": app_client(served_model(FakeEngine(broken))),
        "engine": app_client(served_model(FakeEngine(fail=StepFailed(f"cannot decode {TEXT}")))),
        "administered": app_client(settings=Settings(admin_key=SecretStr(KEY))),
        "guarded": app_client(settings=Settings(admin_key=SecretStr("another-key-than-that"))),
    }


def asked_of(app: Any) -> list[tuple[str, str]]:
    """Method and address for each way to ask the app, a secret in place of what an address leaves open."""
    included = [
        one for route in app.routes if hasattr(route, "original_router") for one in contexts_of(route)
    ]
    routes = [*included, *(route for route in app.routes if hasattr(route, "path"))]
    return [
        (method, re.sub(r"\{[^}]*\}", TEXT, route.path))
        for route in routes
        for method in sorted(route.methods or ())
    ]


def contexts_of(included: Any) -> list[Any]:
    """The routes of an included router, with the addresses that they have in the app."""
    return list(included.effective_route_contexts())


def leaks(lines: list[str], secrets: tuple[str, ...] = SECRETS) -> list[str]:
    return [line for line in lines if any(secret in line for secret in secrets)]


@pytest.mark.parametrize("kind", ["well", "defect", "engine", "administered", "guarded"])
def test_nothing_that_a_client_sends_to_any_route_is_logged(kind: str) -> None:
    client = servers()[kind]
    routes = asked_of(client.app)
    assert ("POST", "/v1/translate") in routes
    with logged() as lines:
        for method, path in [*routes, ("GET", f"/{TEXT}"), (TEXT.upper(), "/v1/translate")]:
            for body in BODIES if method in ("POST", "PUT", "PATCH") else [None]:
                where = f"{path}?key={KEY}&q={TEXT}&text={TEXT}"
                client.request(method, where, json=body, headers=HEADERS)
        client.post("/v1/translate", content=f'{{"text": "{TEXT}'.encode(), headers=HEADERS)
        client.post("/v1/translate", data={"text": TEXT}, headers=HEADERS)
    assert len(lines) > len(routes) // 2
    assert leaks(lines) == leaks([line.lower() for line in lines], (TEXT.lower(), KEY.lower())) == []
    for line in lines:
        assert {"time", "level", "logger", "message", "request_id"} <= set(json.loads(line))


def test_a_leak_would_be_found() -> None:
    with logged() as lines:
        logging.getLogger("service.access").info("asked for %s", TEXT)
    assert leaks(lines) == lines != []


# Long enough that it is in no line by chance.
@given(text=st.text(min_size=12, max_size=60), stream=st.booleans(), quoted=st.booleans())
def test_no_text_whatever_it_is_made_of_is_logged(text: str, stream: bool, quoted: bool) -> None:
    client = servers()["defect" if quoted else "well"]
    with logged() as lines:
        client.post("/v1/translate", json={"text": text, "stream": stream, "source": "en"})
    written = [str(value) for line in lines for value in json.loads(line).values()]
    assert lines
    assert not [value for value in written if text.strip() and text in value]


def test_a_request_is_logged_with_all_that_is_known_of_it() -> None:
    with logged() as lines:
        headers = {"X-Request-ID": "r-1"}
        servers()["well"].post("/v1/translate", json={"text": "One.", "source": "en"}, headers=headers)
    (line,) = [json.loads(line) for line in lines]
    assert line.pop("time").endswith("Z")
    assert line.pop("duration_ms") >= 0
    assert line == {
        "level": "info",
        "logger": "service.access",
        "message": "request",
        "request_id": "r-1",
        "method": "POST",
        "route": "/v1/translate",
        "status": 200,
        "pair": "en-de",
        "model": "en-de",
    }


UNCAUGHT = """
import asyncio, gc, threading, warnings
from service.log import configure_logging
configure_logging("json", "{level}")
secret = "Geheim" + "nis"

def fail():
    raise ValueError(secret)

class Broken:
    def __del__(self):
        fail()

async def forgotten():
    async def failing():
        fail()
    task = asyncio.get_running_loop().create_task(failing())
    await asyncio.sleep(0)
    del task
    gc.collect()

warnings.warn("careful")
Broken()
thread = threading.Thread(target=fail)
thread.start()
thread.join()
asyncio.run(forgotten())
fail()
"""


def uncaught(level: str) -> tuple[int, list[str]]:
    command = [sys.executable, "-c", UNCAUGHT.format(level=level)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.stdout == ""
    return ended.returncode, ended.stderr.splitlines()


def test_what_nobody_caught_is_one_json_line_each_without_its_message() -> None:
    code, lines = uncaught("info")
    assert code == 1
    assert leaks(lines) == []
    said = [json.loads(line) for line in lines]
    assert [
        (one["level"], one["message"].partition(":")[0]) for one in said if "careful" not in str(one)
    ] == [
        ("critical", "exception that could not be raised"),
        ("critical", "uncaught exception in a thread"),
        ("error", "Task exception was never retrieved"),
        ("critical", "uncaught exception"),
    ]
    assert {one["exception"]["type"] for one in said if "exception" in one} == {"ValueError"}
    assert any("careful" in one["message"] for one in said)


def test_for_debugging_the_messages_are_there() -> None:
    _, lines = uncaught("debug")
    assert len(leaks(lines)) == 4
