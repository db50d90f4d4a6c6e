"""The whole service over a real tiny engine whose steps a test lets pass one by one.

Knows how the service is put together. Must not know what a test wants to find out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient

from model.checkpoint import Bundle
from model.network import EagerNetwork
from service.app import create_app
from service.engine import CoalescingEngine, EngineConfig, EngineHandle
from service.engine.thread_engine import ThreadEngine
from service.lifecycle import Lifecycle
from service.metrics import EngineMetrics, Metrics
from service.planning import Limits, Planner
from service.registry import ModelRegistry, ServedModel
from service.settings import Settings
from service.translator import Translator
from tests.builders import tiny_bundle
from tests.fakes import FakeDetector
from tests.service.engine.thread_door import Gate

# Nothing ends such a segment but its length limit, 64 steps away.
ENDLESS = {"strategy": "greedy", "min_length": 60}


@dataclass(frozen=True)
class HeldService:
    """`gate` holds the engine before each decode step; while it is open nothing is held."""

    app: FastAPI
    gate: Gate
    bundle: Bundle
    engine: EngineHandle
    translator: Translator
    lifecycle: Lifecycle
    metrics: Metrics

    def value(self, name: str, **labels: str) -> float:
        """Of one sample; 0 where there is none yet."""
        return self.metrics.registry.get_sample_value(f"verto_{name}", labels) or 0.0


@contextmanager
def held_service(folder: Path, *, coalesce: bool = True, **limits: Any) -> Iterator[HeldService]:
    """Until the block is left. `limits` are the engine's."""
    metrics, bundle = Metrics(), tiny_bundle(folder)
    gate, observer = Gate(bundle.model), EngineMetrics(metrics)
    engine: EngineHandle = ThreadEngine(
        EagerNetwork(bundle.model), EngineConfig(**{"max_rows": 8, **limits}), observer
    )
    if coalesce:
        engine = CoalescingEngine(engine, observer.coalesced)
    registry, detector = ModelRegistry([_served(bundle, engine)]), FakeDetector()
    planner = Planner(registry, detector, Limits(100_000, 1_000))
    translator = Translator(
        registry, planner, detector, metrics, default_timeout_seconds=60.0, max_timeout_seconds=600.0
    )
    lifecycle = Lifecycle(translator)
    app = create_app(translator, Settings(), metrics=metrics, lifecycle=lifecycle)
    try:
        yield HeldService(app, gate, bundle, engine, translator, lifecycle, metrics)
    finally:
        gate.open()
        engine.close()


def _served(bundle: Bundle, engine: EngineHandle) -> ServedModel:
    return ServedModel(
        name="tiny",
        version="1",
        directions=(("en", "de"),),
        dtype="float32",
        device="cpu",
        created=0,
        load_seconds=0.25,
        max_source_length=bundle.model.config.max_source_length,
        defaults=bundle.info.decoding,
        tokenizer=bundle.tokenizer,
        engine=engine,
    )


@contextmanager
def client_of(service: HeldService) -> Iterator[TestClient]:
    """One event loop for all requests, as in a server."""
    with TestClient(service.app, raise_server_exceptions=False) as client:
        yield client


def ask(client: TestClient, **body: Any) -> Any:
    """The answer to a translation from English."""
    return client.post("/v1/translate", json={"source": "en", **body})


def until(condition: Callable[[], bool]) -> None:
    """Wait for what happens in other threads, soon."""

    async def wait() -> None:
        async with asyncio.timeout(20.0):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.002)

    asyncio.run(wait())
