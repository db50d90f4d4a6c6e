"""A client of the app without a network, and readers of what it answers.

Knows HTTP and the event stream format as its standard says, not as service/streaming.py writes it.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from service.app import create_app
from service.lifecycle import Lifecycle
from service.loading import load_translator
from service.metrics import Metrics
from service.registry import ServedModel
from service.settings import Settings
from service.translator import Translator
from tests.fakes import fake_translator


@dataclass(frozen=True)
class Event:
    """One server-sent event."""

    id: str
    name: str
    data: Any


def app_client(
    *models: ServedModel,
    settings: Settings | None = None,
    lifecycle: Lifecycle | None = None,
    translator: Translator | None = None,
    **limits: int,
) -> TestClient:
    """A client of an app over fake engines; what the app raises comes back as status 500."""
    metrics = Metrics()
    if translator is None and lifecycle is None:
        translator = fake_translator(*models, metrics=metrics, **limits)
    app = create_app(translator, settings or Settings(), metrics=metrics, lifecycle=lifecycle)
    return TestClient(app, raise_server_exceptions=False)


def read_events(body: str) -> list[Event]:
    """The events of a whole stream; comments are left out."""
    events = []
    for block in body.split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        if fields:
            events.append(Event(fields["id"], fields["event"], json.loads(fields["data"])))
    return events


def streamed_texts(events: list[Event], count: int) -> list[str]:
    """Each text as its deltas add up."""
    texts = [""] * count
    for event in events:
        if event.name == "delta":
            texts[event.data["text_index"]] += event.data["text"]
    return texts


def metric(client: TestClient, line_start: str) -> float:
    """The value of the one metric whose line begins so."""
    lines = client.get("/metrics").text.splitlines()
    (line,) = [line for line in lines if line.startswith(line_start + " ")]
    return float(line.rsplit(" ", 1)[1])


@contextmanager
def bundle_client(bundle: Path, **settings_given: Any) -> Iterator[TestClient]:
    """A client of an app that serves this bundle with a real engine, on one thread of a CPU."""
    settings = Settings(models_dir=bundle, num_threads=1, device="cpu", **settings_given)
    metrics = Metrics()
    translator = load_translator(settings, metrics)
    with TestClient(create_app(translator, settings, metrics=metrics)) as client:
        yield client
    translator.close()
