"""Other models from one moment to the next: whoever came before goes on with what there was."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from httpx import ASGITransport

from service.admission import Admission, Patience
from service.app import create_app
from service.languages import load_identifier
from service.lifecycle import Lifecycle
from service.metrics import Metrics
from service.settings import Settings
from service.translators import Translators
from tests.fakes import FakeEngine, fake_translator, served_model
from tests.service.turns import until

BODY = {"text": "One. Two.", "source": "en"}


def suffix(mark: str) -> FakeEngine:
    """An engine whose translations say that it made them."""
    return FakeEngine(lambda text: text + mark)


def client_of(lifecycle: Lifecycle, metrics: Metrics | None = None) -> httpx.AsyncClient:
    app = create_app(None, Settings(), metrics=metrics, lifecycle=lifecycle)
    return httpx.AsyncClient(transport=ASGITransport(app), base_url="http://test")


async def translated(client: httpx.AsyncClient, **fields: Any) -> str:
    answer = await client.post("/v1/translate", json={**BODY, **fields})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["translations"][0]["text"])


def test_a_running_request_ends_with_the_models_that_it_began_with() -> None:
    async def story() -> None:
        old = suffix("old")
        old.gate = asyncio.Event()
        model = served_model(old)
        lifecycle = Lifecycle(fake_translator(model))
        async with client_of(lifecycle) as client:
            running = asyncio.create_task(translated(client))
            await until(lambda: len(old.requests) == 2)
            lifecycle.replace(fake_translator(served_model(suffix("new"))))
            assert await translated(client) == "One.new Two.new"
            assert not await lifecycle.visits.wait_until_left(model, 0.01)
            old.gate.set()
            assert await running == "One.old Two.old"
            assert await lifecycle.visits.wait_until_left(model, 0.01)

    asyncio.run(story())


def test_a_stream_that_uses_another_model_does_not_hold_up_a_model_that_goes() -> None:
    async def story() -> None:
        staying, gate = suffix("x"), asyncio.Event()
        staying.gate = gate
        going = served_model(FakeEngine(), "de-en", [("de", "en")])
        lifecycle = Lifecycle(fake_translator(served_model(staying), going))
        async with client_of(lifecycle) as client:
            running = asyncio.create_task(client.post("/v1/translate", json={**BODY, "stream": True}))
            await until(lambda: len(staying.requests) == 2)
            assert await lifecycle.visits.wait_until_left(going, 0.01)
            gate.set()
            await running

    asyncio.run(story())


def test_lists_refusals_and_metrics_follow_the_models_of_the_moment() -> None:
    async def story() -> None:
        metrics = Metrics()
        lifecycle = Lifecycle(fake_translator(served_model(FakeEngine())))
        async with client_of(lifecycle, metrics) as client:
            other = served_model(FakeEngine(), "en-fr", [("en", "fr")])
            lifecycle.replace(fake_translator(other))
            models = (await client.get("/v1/models")).json()["data"]
            assert [model["id"] for model in models] == ["en-fr"]
            languages = (await client.get("/v1/languages")).json()["languages"]
            assert [language["code"] for language in languages] == ["en", "fr"]
            refused = (await client.post("/v1/translate", json={**BODY, "model": "en-de"})).json()
            assert (refused["code"], refused["errors"][0]["bound"]) == ("model_not_found", "one of en-fr")
            told = (await client.get("/metrics")).text
            assert 'verto_model_load_duration_seconds{model="en-fr"}' in told
            assert 'model="en-fr"' in told
            assert 'model="en-de"' not in told

    asyncio.run(story())


def test_a_model_whose_engine_is_down_makes_the_server_unready_only_while_it_is_served() -> None:
    engine = FakeEngine()
    lifecycle = Lifecycle(fake_translator(served_model(engine)))
    engine.is_available = False
    assert not lifecycle.is_ready
    lifecycle.replace(fake_translator(served_model(FakeEngine())))
    assert lifecycle.is_ready


def test_a_place_in_the_queue_of_a_model_that_stays_counts_after_the_change_too() -> None:
    stays, goes, comes = (served_model(FakeEngine(), name) for name in ("stays", "goes", "comes"))
    before = Admission([stays, goes])
    before.learn(stays, 1_000_000, 2_000_000)
    with before.reserve([stays], 100, Patience(60.0)):
        after = Admission([stays, comes], before)
        assert after.reserved(stays) == before.reserved(stays) > 100
        assert after.reserved(comes) == 0
    assert after.reserved(stays) == 0


def test_detection_considers_the_languages_of_the_moment_and_is_made_anew_only_for_others() -> None:
    translators = Translators(Settings(), load_identifier(), Metrics())
    rare, text = [("ug", "en")], "ئۇ مەكتەپكە باردى"

    def best(*pairs: tuple[str, str]) -> Any:
        made = translators.make([served_model(FakeEngine(), directions=pairs)])
        return made, made._detector.detect(text)[0].language

    first, plain = best(("en", "de"))
    second, other = best(*rare)
    third, again = best(("en", "de"), ("de", "en"))
    fourth, _ = best(("de", "en"))
    assert (plain != "ug", other, again) == (True, "ug", plain)
    assert first._detector is not second._detector
    assert third._detector is fourth._detector
    assert first._detector.detect(text)[0].language == plain, "the old one is as it was"
