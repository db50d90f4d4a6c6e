"""docs/api.md says what the schemas say, names every event and problem, and its requests are answered."""

from __future__ import annotations

import json
import re

import pytest

from service.errors import ServiceError
from tests.fakes import FakeEngine, served_model
from tests.service.api_page import PAGE, with_tables
from tests.service.http_client import app_client, read_events
from tests.service.test_alternatives import table_engine
from tests.service.test_errors import every_error
from tests.service.test_stream_truth import Unsteady

TEXT = PAGE.read_text(encoding="utf-8")
REQUESTS = [json.loads(block) for block in re.findall(r"^```json request\n(.*?)^```", TEXT, re.M | re.S)]


def rows(title: str, first_column: str) -> list[list[str]]:
    """The cells of the first table of a section whose head begins so."""
    lines = TEXT.split(f"\n## {title}\n")[1].split(f"| {first_column} |")[1].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def names(cell: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", cell))


def test_tables_are_those_of_the_schemas() -> None:
    assert with_tables(TEXT) == TEXT, "run `python -m tests.service.api_page`"


@pytest.mark.parametrize("body", REQUESTS, ids=lambda body: str(body["text"]))
def test_every_request_of_the_page_is_answered(body: dict[str, object]) -> None:
    engine = table_engine() if "alternatives" in body else FakeEngine()
    body = {**body, "prefix": "a"} if "alternatives" in body else body
    assert app_client(served_model(engine)).post("/v1/translate", json=body).status_code == 200


def test_the_page_names_the_events_and_their_data_in_full() -> None:
    table = {next(iter(names(row[0]))): names(row[1]) for row in rows("Streams", "event")}
    seen: dict[str, set[str]] = {"error": set()}
    for seed in range(20):
        client = app_client(served_model(Unsteady(seed).engine))
        body = {"text": "One two.", "source": "en", "stream": True, "stream_mode": "draft"}
        for event in read_events(client.post("/v1/translate", json=body).text):
            seen[event.name] = set(event.data)
    assert table == seen


def test_the_page_names_every_problem_with_its_status() -> None:
    table = {code: row[0].split(", ") for row in rows("Problems", "status") for code in names(row[1])}
    kinds = {kind.code: str(kind.status) for kind in every_error() if kind is not ServiceError}
    assert set(table) == set(kinds)
    assert all(kinds[code] in statuses for code, statuses in table.items())
