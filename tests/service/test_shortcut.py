"""Translation is answered past the framework's router, and nobody can tell by anything but the time."""

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.app import create_app
from service.metrics import Metrics
from service.settings import Settings
from service.shortcut import Shortcut
from tests.fakes import FakeEngine, fake_translator, served_model

URL = "/v1/translate"
BODY = {"text": "Hello.", "source": "en"}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def app(metrics: Metrics) -> FastAPI:
    return create_app(fake_translator(served_model(FakeEngine(str.upper))), Settings(), metrics=metrics)


def test_the_router_is_not_asked_for_a_translation(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unexpected(*_: object) -> None:
        raise AssertionError("the router was asked")

    monkeypatch.setattr(app.router, "middleware_stack", unexpected)
    answer = TestClient(app).post(URL, json=BODY)
    assert answer.json()["translations"][0]["text"] == "HELLO."


def told(answer: httpx2.Response) -> object:
    """All but what differs from request to request."""
    return answer.status_code, {**answer.json(), "id": "", "request_id": "", "timings": {}}


@pytest.mark.parametrize(
    "more", [{}, {"beam_size": 0}, {"target": "xx"}], ids=["right", "no beam", "no pair"]
)
def test_the_router_gives_the_same_answer(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch, more: dict[str, object]
) -> None:
    near = TestClient(app).post(URL, json={**BODY, **more})
    monkeypatch.setattr(Shortcut, "_is_meant", lambda *_: False)
    assert told(TestClient(app).post(URL, json={**BODY, **more})) == told(near)


def test_other_methods_are_refused_as_ever(app: FastAPI) -> None:
    answer = TestClient(app).get(URL)
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


def test_requests_are_counted_by_their_route(app: FastAPI, metrics: Metrics) -> None:
    TestClient(app).post(URL, json=BODY)
    text = metrics.exposition("")[0].decode()
    assert 'verto_requests_total{code="200",pair="en-de",route="/v1/translate"} 1.0' in text
