"""A text that kills the engine, over HTTP: it is answered 500, everybody else 200 with the right text."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.responses import Response

from service.app import create_app
from service.engine import EngineConfig
from service.engine.process_engine import ProcessEngine
from service.metrics import EngineMetrics, Metrics
from service.settings import Settings
from tests.builders import tiny_bundle, tiny_sentences
from tests.fakes import FakeEngine, fake_translator, served_model
from tests.service.engine.worker_door import Nursery
from tests.service.http_client import metric, read_events, streamed_texts

INNOCENT = list(tiny_sentences(12, seed=3))


@pytest.fixture
def kitchen(tmp_path: Path) -> Any:
    """A client, and the engine's nursery: its children share a real model."""
    bundle, metrics = tiny_bundle(tmp_path / "tiny"), Metrics()
    config = EngineConfig(max_rows=64)
    nursery = Nursery(bundle.model, config)
    engine = ProcessEngine(nursery, config, EngineMetrics(metrics))
    engine.wait_until_ready()
    model = dataclasses.replace(
        served_model(FakeEngine()),
        engine=engine,
        tokenizer=bundle.tokenizer,
        max_source_length=bundle.config.max_source_length,
    )
    app = create_app(fake_translator(model, metrics=metrics), Settings(), metrics=metrics)
    with TestClient(app) as client:
        yield client, nursery, bundle.tokenizer
    engine.close()


def ask(client: TestClient, text: str, **more: Any) -> Response:
    body = {"text": text, "source": "en", "target": "de", "split": "none", **more}
    return client.post("/v1/translate", json=body)  # type: ignore[return-value]


def test_the_text_that_kills_is_refused_alone(kitchen: Any) -> None:
    client, nursery, tokenizer = kitchen
    expected = [ask(client, text).json()["translations"][0]["text"] for text in INNOCENT]
    known = {token for text in INNOCENT for token in tokenizer.encode_source(text)}
    poison = "Wü & wü ¿"
    nursery.poison(next(token for token in tokenizer.encode_source(poison) if token not in known))
    with ThreadPoolExecutor(len(INNOCENT) + 2) as pool:
        whole = pool.submit(ask, client, poison)
        answers = [pool.submit(ask, client, text) for text in INNOCENT]
        stream = pool.submit(ask, client, poison, stream=True)
    assert [one.result().json()["translations"][0]["text"] for one in answers] == expected
    assert (whole.result().status_code, whole.result().json()["code"]) == (500, "internal_error")
    events = read_events(stream.result().text)
    assert events[-1].name == "error"
    assert events[-1].data["status"] == 500
    assert streamed_texts(events, 1) == [""]
    # The poison's last answer is given when a child dies; the next one is counted and started after that.
    assert ask(client, INNOCENT[0]).json()["translations"][0]["text"] == expected[0]
    assert 3 <= metric(client, "verto_engine_restarts_total") == len(nursery.children) - 1 <= 8
    assert client.get("/health/ready").status_code == 200
