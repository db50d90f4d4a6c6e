"""Every request has an id, is logged without its text, and never answered with a traceback."""

import json
import logging
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from service.log import JsonFormatter, TextFormatter
from tests.fakes import FakeEngine, served_model
from tests.service.http_client import app_client, metric

SECRET = "Geheimnis"


class Lines(logging.Handler):
    """Keeps records as the JSON lines that would be written."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def lines() -> Iterator[list[str]]:
    handler = Lines()
    logger = logging.getLogger("service")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler.lines
    logger.removeHandler(handler)
    logger.setLevel(before)


def broken(text: str) -> str:
    raise ValueError(f"cannot translate {text}")


def broken_client() -> TestClient:
    return app_client(served_model(FakeEngine(broken)))


@pytest.mark.parametrize("path", ["/health/live", "/v1/nothing", "/v1/translate", "/docs"])
def test_every_answer_has_an_id_of_its_own(path: str) -> None:
    client = app_client()
    first, second = client.get(path).headers["x-request-id"], client.get(path).headers["x-request-id"]
    assert len(first) == 32
    assert first != second


def test_a_sane_id_of_the_client_is_kept() -> None:
    response = app_client().get("/v1/nothing", headers={"X-Request-ID": "trace-1:a/b=c"})
    assert response.headers["x-request-id"] == response.json()["request_id"] == "trace-1:a/b=c"


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", 'a"b', "a\tb", "é"])
def test_another_id_is_replaced(given: str) -> None:
    response = app_client().get("/health/live", headers={"X-Request-ID": given.encode("latin-1")})
    assert len(response.headers["x-request-id"]) == 32


def test_a_defect_is_a_problem_without_a_traceback_and_the_log_has_it_with_the_id(lines: list[str]) -> None:
    client = broken_client()
    response = client.post("/v1/translate", json={"text": SECRET})
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "internal_error"
    assert "Traceback" not in response.text
    assert "ValueError" not in response.text
    (logged,) = [json.loads(line) for line in lines if "request failed" in line]
    assert logged["request_id"] == response.headers["x-request-id"] == response.json()["request_id"]
    assert logged["exception"]["type"] == "ValueError"
    assert metric(client, 'verto_requests_total{code="500",pair="none",route="/v1/translate"}') == 1


def test_no_text_is_ever_logged(lines: list[str]) -> None:
    for client in (app_client(), broken_client()):
        for body in ({"text": SECRET}, {"text": SECRET, "stream": True}, {"text": SECRET, SECRET: 1}):
            client.post("/v1/translate", json=body)
        client.post("/v1/detect", json={"text": SECRET})
        client.get(f"/{SECRET}")
    assert lines
    assert not [line for line in lines if SECRET in line]


def test_a_request_is_logged_with_route_status_and_time(lines: list[str]) -> None:
    app_client().post("/v1/translate", json={"text": "One."}, headers={"X-Request-ID": "r1"})
    (line,) = [json.loads(line) for line in lines]
    duration = line.pop("duration_ms")
    line.pop("time")
    assert duration > 0
    assert line == {
        "level": "info",
        "logger": "service.access",
        "message": "request",
        "request_id": "r1",
        "method": "POST",
        "route": "/v1/translate",
        "status": 200,
        "pair": "en-de",
        "model": "en-de",
    }


def test_probes_are_logged_only_for_debugging(lines: list[str]) -> None:
    client = app_client()
    client.get("/health/ready")
    client.get("/metrics")
    assert {json.loads(line)["level"] for line in lines} == {"debug"}


def record_with_exception() -> logging.LogRecord:
    try:
        broken(SECRET)
    except ValueError:
        import sys

        return logging.LogRecord("service", logging.ERROR, __file__, 1, "failed", (), sys.exc_info())
    raise AssertionError


def test_an_exceptions_message_is_shown_only_for_debugging() -> None:
    record = record_with_exception()
    for quiet, open_ in ((JsonFormatter(), JsonFormatter(True)), (TextFormatter(), TextFormatter(True))):
        assert SECRET not in quiet.format(record)
        assert "ValueError" in quiet.format(record)
        assert SECRET in open_.format(record)


def test_a_log_line_is_one_json_object_whatever_is_in_it() -> None:
    record = logging.LogRecord("service", logging.INFO, __file__, 1, "two\nlines \ud800", (), None)
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert json.loads(line.encode("utf-8"))["message"] == "two\nlines \ud800"
