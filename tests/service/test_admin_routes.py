"""The admin API: who may use it, what it answers, and that it says what happens."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from httpx import ASGITransport
from pydantic import SecretStr

from service.app import create_app
from service.engine.network_plan import PlanError
from service.hosting.budget import Budget
from service.lifecycle import Lifecycle
from service.settings import Settings, SettingsError, resolve_settings
from tests.service.hosting.pretended import Pretended, pretended
from tests.service.turns import until

KEY = "a-key-of-at-least-16"
MODELS = "/v1/admin/models"
HEAD = {"Authorization": f"Bearer {KEY}"}


def client_of(stage: Pretended, key: str = KEY, **headers: str) -> httpx.AsyncClient:
    app = create_app(
        None, Settings(admin_key=SecretStr(key)), metrics=stage.metrics, lifecycle=stage.lifecycle
    )
    return httpx.AsyncClient(transport=ASGITransport(app), base_url="http://test", headers=headers or HEAD)


def run(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(story())  # type: ignore[arg-type]


ROUTES = [("GET", MODELS), ("GET", MODELS + "/en-de"), ("POST", MODELS), ("DELETE", MODELS + "/en-de")]
ROUTES += [("POST", MODELS + "/en-de/reload")]


@pytest.mark.parametrize(("method", "path"), [*ROUTES, ("PUT", MODELS)])
def test_without_a_key_of_the_servers_the_addresses_are_as_unknown_as_any(method: str, path: str) -> None:
    async def story() -> None:
        async with client_of(pretended("en-de"), key="") as client:
            for headers in ({}, HEAD, {"Authorization": "Bearer "}):
                answer = await client.request(method, path, headers=headers)
                unknown = await client.request(method, "/v1/nothing", headers=headers)
                told, expected = answer.json(), unknown.json()
                assert answer.status_code == 404
                assert told | {"request_id": ""} == expected | {"request_id": ""}
            assert "admin" not in (await client.get("/openapi.json")).text

    run(story)


@pytest.mark.parametrize(
    ("method", "path", "field"),
    [
        *((method, path + "?x=1", "x") for method, path in ROUTES),
        ("DELETE", MODELS + "/en-de?wait=true&wait=false", "wait"),
    ],
)
def test_a_parameter_that_would_be_ignored_is_refused_by_name(method: str, path: str, field: str) -> None:
    async def story() -> None:
        async with client_of(pretended("en-de")) as client:
            answer = await client.request(method, path)
            assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)

    run(story)


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Content-Encoding": "gzip"}, 415), ({"Content-Type": "text/plain"}, 415), ({}, 202)],
    ids=["packed", "text", "json"],
)
def test_what_may_have_a_body_takes_no_other_than_json(headers: dict[str, str], status: int) -> None:
    async def story() -> None:
        async with client_of(pretended("en-de")) as client:
            path = MODELS + "/en-de/reload"
            answer = await client.post(path, content=b"{}", headers=headers)
            assert answer.status_code == status

    run(story)


WRONG = ["", "Bearer", "Bearer ", f"Bearer {KEY}x", f"Basic {KEY}", KEY, f"Bearer {KEY.upper()}"]


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("given", WRONG)
def test_a_missing_or_wrong_key_is_401_and_changes_nothing(method: str, path: str, given: str) -> None:
    async def story() -> None:
        stage = pretended("en-de", "en-fr")
        async with client_of(stage, Authorization=given) as client:
            answer = await client.request(
                method, path, json={"folder": "en-de"} if method == "POST" else None
            )
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"].startswith('Bearer realm="verto admin"')
        assert answer.json()["code"] == "unauthorized"
        assert KEY not in answer.text
        assert stage.states() == [("en-de", "1", "serving"), ("en-fr", "1", "serving")]

    run(story)


def test_a_wrong_key_is_logged_and_no_key_is(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with client_of(pretended("en-de"), Authorization="Bearer a-wrong-key-of-16") as client:
            await client.get(MODELS)
        assert "a wrong admin key was refused" in caplog.text
        assert "a-wrong-key" not in caplog.text
        assert KEY not in caplog.text

    caplog.set_level(logging.DEBUG)
    run(story)


def test_the_key_is_shown_by_no_setting_and_by_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERTO_ADMIN_KEY", KEY + "\n")
    settings = resolve_settings().settings
    assert settings.admin_key.get_secret_value() == KEY, "a line end is from the file it was kept in"
    assert KEY not in f"{settings!r} {settings.admin_key} {settings.model_dump_json()}"
    for bad in ("short-secret", "a secret with spaces in it", "x" * 257, "schlüssel-schlüssel"):
        monkeypatch.setenv("VERTO_ADMIN_KEY", bad)
        with pytest.raises(SettingsError, match="16 to 256 visible ASCII") as caught:
            resolve_settings()
        assert bad not in str(caught.value)
        assert f"got a secret of {len(bad)} characters" in str(caught.value)


def test_states_are_listed_with_memory_and_what_may_be_loaded() -> None:
    async def story() -> None:
        stage = pretended("en-de", budget=Budget(500))
        stage.folders.put("second", "en-de", "2")
        async with client_of(stage) as client:
            told = (await client.get(MODELS)).json()
            (model,) = told["data"]
            assert told["memory"] == {"limit_bytes": 500, "free_bytes": 380}
            assert told["folders"] == ["en-de", "second"]
            assert isinstance(model.pop("since"), int)
            assert model == {
                "name": "en-de",
                "version": "1",
                "folder": "en-de",
                "state": "serving",
                "manifest_sha256": stage.folders.bundles["en-de"].digest,
                "load_seconds": 0.5,
                "dtype": "float32",
                "device": "cpu",
                "path": "eager",
                "memory": {
                    "needed_bytes": 120,
                    "weights_bytes": 100,
                    "cache_bytes": 20,
                    "cache_bytes_used": 5,
                    "process_bytes": 0,
                },
            }

    run(story)


async def problem(request: Awaitable[httpx.Response]) -> tuple[int, str, list[Any]]:
    answer = await request
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"], answer.json().get("errors", [])


def test_a_load_is_accepted_and_its_address_tells_how_it_goes_on() -> None:
    async def story() -> None:
        stage = pretended("en-de")
        stage.at_once = False
        stage.folders.put("second", "en-de", "2")
        async with client_of(stage) as client:
            answer = await client.post(MODELS, json={"folder": "second", "swap": "beside"})
            assert answer.status_code == 202
            assert (answer.json()["state"], answer.json()["version"]) == ("loading", "2")
            address = answer.headers["location"]
            assert await states(client, address) == ["serving", "loading"]
            status, code, _ = await problem(client.post(MODELS, json={"folder": "second", "swap": "beside"}))
            assert (status, code) == (409, "change_in_progress")
            await until(lambda: len(stage.starts) == 2)
            stage.starts[1].let(PlanError("precision must be float32"))
            await until(lambda: stage.states()[1][2] == "failed")
            failed = (await client.get(address)).json()["data"][1]
            assert failed["reason"] == "precision must be float32"
            stage.at_once = True
            answer = await client.post(MODELS + "?wait=true", json={"folder": "second", "swap": "beside"})
            assert (answer.status_code, answer.json()["state"]) == (200, "serving")

    run(story)


async def states(client: httpx.AsyncClient, address: str) -> list[str]:
    return [one["state"] for one in (await client.get(address)).json()["data"]]


def test_who_waits_is_told_the_reason_of_a_failure() -> None:
    async def story() -> None:
        stage = pretended("en-de")
        stage.at_once = False
        async with client_of(stage) as client:
            waiting = asyncio.create_task(client.post(MODELS + "/en-de/reload?wait=true"))
            await until(lambda: len(stage.starts) == 2)
            stage.starts[1].let(PlanError("precision must be float32"))
            answer = await waiting
            assert (answer.status_code, answer.json()["code"]) == (500, "load_failed")
            assert answer.json()["detail"] == "precision must be float32"

    run(story)


def test_a_reload_takes_no_body_or_says_how_to_swap() -> None:
    async def story() -> None:
        stage = pretended("en-de")
        async with client_of(stage) as client:
            for version, body in (("2", None), ("3", {}), ("4", {"swap": "unload_first"})):
                stage.folders.put("en-de", "en-de", version)
                answer = await client.post(MODELS + "/en-de/reload?wait=true", json=body)
                assert (answer.status_code, answer.json()["version"]) == (200, version)
            status, _, faults = await problem(client.post(MODELS + "/en-de/reload", json={"swap": "none"}))
            assert (status, faults[0]["field"]) == (422, "swap")

    run(story)


def test_an_unload_that_is_waited_for_waits_for_others_and_not_for_itself() -> None:
    async def story() -> None:
        stage = pretended("en-de", "en-fr")
        async with client_of(stage) as client:
            with stage.lifecycle.request():
                waiting = asyncio.create_task(client.delete(MODELS + "/en-fr?wait=true"))
                await until(lambda: stage.states()[1][2] == "draining")
                assert stage.names() == ["en-de"]
                assert not waiting.done()
            assert (await waiting).status_code == 204
            assert (await client.get(MODELS + "/en-fr")).status_code == 404
            assert (await problem(client.delete(MODELS + "/en-de")))[:2] == (409, "last_model")
            stage.folders.put("third", "en-it")
            await client.post(MODELS + "?wait=true", json={"folder": "third"})
            assert (await client.delete(MODELS + "/en-de")).status_code == 202
            await until(lambda: len(stage.states()) == 1)

    run(story)


def test_the_entry_of_a_failed_load_can_be_deleted() -> None:
    async def story() -> None:
        stage = pretended("en-de")
        stage.at_once = False
        stage.folders.put("third", "en-it")
        async with client_of(stage) as client:
            await client.post(MODELS, json={"folder": "third"})
            await until(lambda: len(stage.starts) == 2)
            stage.starts[1].let(PlanError("no"))
            await until(lambda: ("en-it", "1", "failed") in stage.states())
            assert (await client.delete(MODELS + "/en-it")).status_code == 204
            assert (await problem(client.delete(MODELS + "/en-it")))[:2] == (404, "model_not_loaded")

    run(story)


BAD = [
    ({"folder": "../../etc"}, 422, "invalid_request", "folder"),
    ({"folder": 5}, 422, "invalid_request", "folder"),
    ({}, 422, "invalid_request", "folder"),
    ({"folder": "second", "swap": "now"}, 422, "invalid_request", "swap"),
    ({"folder": "second", "wait": True}, 422, "invalid_request", "wait"),
    ({"folder": "second"}, 409, "model_served", "swap"),
    ({"folder": "huge"}, 507, "insufficient_memory", "folder"),
]


@pytest.mark.parametrize(("body", "status", "code", "field"), BAD)
def test_what_cannot_be_is_refused_with_field_bound_and_value(
    body: dict[str, Any], status: int, code: str, field: str
) -> None:
    async def story() -> None:
        stage = pretended("en-de", budget=Budget(300))
        stage.folders.put("second", "en-de", "2")
        need = stage.folders.bundles["second"].need
        stage.folders.put("huge", "en-it", "2", type(need)(weights=400, cache=0, process=0))
        async with client_of(stage) as client:
            told = await problem(client.post(MODELS, content=json.dumps(body)))
            assert told[:2] == (status, code)
            assert told[2][0]["field"] == field
            assert told[2][0]["bound"]
            assert stage.states() == [("en-de", "1", "serving")]

    run(story)


@pytest.mark.parametrize("query", ["wait=1", "wait=", "force=true"])
def test_a_parameter_that_means_nothing_is_refused(query: str) -> None:
    async def story() -> None:
        async with client_of(pretended("en-de", "en-fr")) as client:
            assert (await problem(client.delete(f"{MODELS}/en-fr?{query}")))[0] == 422

    run(story)


def test_while_loading_and_while_draining_nothing_is_changed() -> None:
    async def story() -> None:
        draining, loading = pretended("en-de"), pretended("en-de")
        draining.lifecycle.begin_draining()
        async with client_of(draining) as client:
            assert (await problem(client.post(MODELS, json={"folder": "en-de"})))[:2] == (503, "draining")
            assert (await client.get(MODELS)).status_code == 200
        loading.lifecycle = Lifecycle()
        async with client_of(loading) as client:
            for method, path in ROUTES:
                assert (await problem(client.request(method, path)))[:2] == (503, "loading")

    run(story)


def test_the_description_of_the_api_names_key_and_problems() -> None:
    async def story() -> None:
        async with client_of(pretended("en-de")) as client:
            document = (await client.get("/openapi.json")).json()
        paths = {path: operations for path, operations in document["paths"].items() if "admin" in path}
        assert sorted(paths) == [MODELS, MODELS + "/{name}", MODELS + "/{name}/reload"]
        assert document["components"]["securitySchemes"]["admin key"]["scheme"] == "bearer"
        for operations in paths.values():
            for operation in operations.values():
                assert operation["tags"] == ["admin"]
                assert operation["security"] == [{"admin key": []}]
                assert "application/problem+json" in operation["responses"]["401"]["content"]
        assert "LoadRequest" in document["components"]["schemas"]

    run(story)
