"""Loading, swapping and unloading: what is served meanwhile, and what is left of what went wrong."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections.abc import Awaitable, Callable

import pytest

from model.manifest import BundleError
from service.engine.errors import EngineDraining, StepFailed
from service.engine.network_plan import PlanError
from service.errors import (
    BundleInvalid,
    ChangeInProgress,
    Draining,
    InternalError,
    InvalidRequest,
    LastModel,
    LoadFailed,
    ModelNotLoaded,
    ModelServed,
    ServiceError,
)
from tests.fakes import FakeEngine
from tests.service.hosting.pretended import ROOT, Pretended, load, pretended, translated
from tests.service.turns import until


def run(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(story())  # type: ignore[arg-type]


def test_a_bundle_that_is_loaded_serves_from_the_moment_it_is_warm() -> None:
    async def story() -> None:
        stage = pretended("en-de")
        stage.at_once = False
        stage.folders.put("french", "en-fr", "7")
        change = await stage.hosting.load("french")
        assert stage.states() == [("en-de", "1", "serving"), ("en-fr", "7", "loading")]
        await until(lambda: len(stage.starts) == 2)
        gate = stage.starts[1].engine.gate = asyncio.Event()
        stage.starts[1].let()
        await until(lambda: stage.states()[1][2] == "warming")
        assert stage.names() == ["en-de"], "nobody else is served by a model that is warmed up"
        assert stage.starts[1].engine.requests, "it is warmed up by translating"
        gate.set()
        await change.finished()
        assert stage.names() == ["en-de", "en-fr"]
        assert await translated(stage, target="fr") == "One.7"
        assert stage.changes("en-fr", "load", "done") == 1

    run(story)


def test_a_swap_serves_by_the_old_model_until_the_new_one_does_and_then_ends_the_old() -> None:
    async def story() -> None:
        stage = pretended("en-de", "en-fr")
        stage.folders.put("second", "en-de", "2")
        old = stage.starts[0].engine
        old.gate = asyncio.Event()
        running = asyncio.create_task(visit(stage, target="de"))
        await until(lambda: len(old.requests) == 1)
        await load(stage, "second", "beside")
        assert await translated(stage, target="de") == "One.2"
        assert stage.states()[:2] == [("en-de", "1", "draining"), ("en-de", "2", "serving")]
        assert not old.is_closed
        old.gate.set()
        assert await running == "One.1"
        await until(lambda: old.is_closed)
        await until(lambda: len(stage.states()) == 2)
        assert stage.changes("en-de", "swap", "done") == 1

    run(story)


async def visit(stage: Pretended, **fields: str) -> str:
    """A request as the middleware counts it."""
    with stage.lifecycle.request():
        return await translated(stage, **fields)


def test_a_request_that_has_not_told_what_it_uses_keeps_the_old_model_alive() -> None:
    async def story() -> None:
        stage = pretended("en-de")
        stage.folders.put("second", "en-de", "2")
        old = stage.starts[0].engine
        with stage.lifecycle.request() as early:
            await load(stage, "second", "beside")
            await asyncio.sleep(0.05)
            assert not old.is_closed
            early.uses([])
            await until(lambda: old.is_closed)

    run(story)


def test_several_swaps_in_a_row_leave_one_engine() -> None:
    async def story() -> None:
        stage = pretended("en-de")
        for version in range(2, 8):
            stage.folders.put("en-de", "en-de", str(version))
            await (await stage.hosting.reload("en-de")).finished()
            assert await translated(stage) == f"One.{version}"
        await until(lambda: stage.states() == [("en-de", "7", "serving")])
        assert [one.engine.is_closed for one in stage.starts] == [True] * 6 + [False]

    run(story)


def test_nothing_keeps_a_model_that_has_gone_in_memory() -> None:
    async def story() -> None:
        stage = pretended("en-de")
        served = stage.hosting.instances.serving()[0].model
        assert served is not None
        tokenizer = weakref.ref(served.tokenizer)
        del served
        stage.folders.put("en-de", "en-de", "2")
        await (await stage.hosting.reload("en-de")).finished()
        await until(lambda: len(stage.states()) == 1)
        await translated(stage)
        gc.collect()
        assert tokenizer() is None

    run(story)


FAILURES = {
    "a broken bundle": (
        BundleError(ROOT / "second" / "x", "is broken"),
        BundleInvalid,
    ),
    "settings that do not suit": (PlanError("precision must be float32"), LoadFailed),
    "no process": (RuntimeError("the engine's process died"), LoadFailed),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_model_that_does_not_start_leaves_the_old_one_serving_and_says_why(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    failure, told = FAILURES[name]

    async def story() -> None:
        stage = pretended("en-de")
        stage.at_once = False
        stage.folders.put("second", "en-de", "2")
        change = await stage.hosting.load("second", "beside")
        await until(lambda: len(stage.starts) == 2)
        stage.starts[1].let(failure)
        with pytest.raises(told) as caught:
            await change.finished()
        assert await translated(stage) == "One.1"
        assert stage.states() == [("en-de", "1", "serving"), ("en-de", "2", "failed")]
        assert stage.hosting.instances.of("en-de")[1].reason == caught.value.detail
        assert "/models" not in caught.value.detail
        assert stage.starts[1].is_closed
        assert stage.changes("en-de", "swap", "failed") == 1
        assert any(getattr(one, "reason", None) == caught.value.detail for one in caplog.records)

    run(story)


def test_a_model_that_cannot_translate_is_not_served() -> None:
    async def story() -> None:
        stage = pretended(
            "en-de", engine=lambda b: FakeEngine(fail=StepFailed("x") if b.version == "2" else None)
        )
        stage.folders.put("second", "en-de", "2")
        with pytest.raises(InternalError):
            await load(stage, "second", "beside")
        assert stage.states() == [("en-de", "1", "serving"), ("en-de", "2", "failed")]
        assert stage.starts[1].engine.is_closed

    run(story)


def test_a_bundle_that_changes_while_it_is_loaded_is_not_served() -> None:
    async def story() -> None:
        stage = pretended("en-de")
        stage.at_once = False
        stage.folders.put("second", "en-de", "2")
        change = await stage.hosting.load("second", "beside")
        await until(lambda: len(stage.starts) == 2)
        stage.starts[1].bundle = stage.folders.put("second", "en-de", "3")
        stage.starts[1].let()
        with pytest.raises(BundleInvalid, match="was changed while it was being loaded"):
            await change.finished()
        assert await translated(stage) == "One.1"

    run(story)


def test_a_failure_is_forgotten_with_the_next_change_of_the_name_or_when_asked() -> None:
    async def story() -> None:
        stage = pretended("en-de")
        stage.at_once = False
        stage.folders.put("french", "en-fr")
        for attempt in (1, 2):
            change = await stage.hosting.load("french")
            await until(lambda: len(stage.starts) == 1 + attempt)  # noqa: B023 (waited for at once)
            stage.starts[-1].let(PlanError("no"))
            with pytest.raises(LoadFailed):
                await change.finished()
            assert [state for _, _, state in stage.states()] == ["serving", "failed"]
        assert not stage.hosting.forget("en-de")
        assert stage.hosting.forget("en-fr")
        assert stage.states() == [("en-de", "1", "serving")]

    run(story)


def test_what_is_refused_changes_nothing() -> None:
    async def story() -> None:
        stage = pretended("en-de", "en-fr")
        hosting = stage.hosting
        before = stage.states()
        stage.folders.put("second", "en-de", "2")
        with pytest.raises(InvalidRequest, match="no such bundle") as caught:
            await hosting.load("../secret")
        (fault,) = caught.value.faults
        assert (fault.field, fault.value) == ("folder", "../secret")
        assert fault.bound.endswith("en-de, en-fr, second")
        with pytest.raises(ModelServed) as served:
            await hosting.load("second")
        assert served.value.faults[0].field == "swap"
        with pytest.raises(ModelNotLoaded) as missing:
            hosting.unload("en-it")
        assert missing.value.faults[0].bound == "one of en-de, en-fr"
        with pytest.raises(ModelNotLoaded):
            await hosting.reload("en-it")
        stage.folders.put("en-fr", "en-it", "2")
        with pytest.raises(BundleInvalid, match="'en-it' now"):
            await hosting.reload("en-fr")
        assert stage.states() == before

    run(story)


def test_one_change_at_a_time_for_each_name_and_others_beside_it() -> None:
    async def story() -> None:
        stage = pretended("en-de")
        stage.at_once = False
        for folder in ("second", "third"):
            stage.folders.put(folder, "en-de", folder)
        stage.folders.put("french", "en-fr")
        first = await stage.hosting.load("second", "beside")
        other = await stage.hosting.load("french")
        for second in (stage.hosting.load("third", "beside"), stage.hosting.reload("en-de")):
            with pytest.raises(ChangeInProgress) as caught:
                await second
            assert caught.value.retry_after_seconds
        with pytest.raises(ChangeInProgress):
            stage.hosting.unload("en-de")
        await until(lambda: len(stage.starts) == 3)
        for start in stage.starts:
            start.let()
        await first.finished()
        await other.finished()
        stage.at_once = True
        await load(stage, "third", "beside")
        assert stage.names() == ["en-de", "en-fr"]

    run(story)


def test_a_model_that_is_unloaded_is_not_found_any_more_and_ends_when_it_is_left() -> None:
    async def story() -> None:
        stage = pretended("en-de", "en-fr")
        engine = stage.starts[1].engine
        with stage.lifecycle.request():
            change = stage.hosting.unload("en-fr")
            with pytest.raises(ServiceError, match="target"):
                await translated(stage, target="fr")
            assert stage.states() == [("en-de", "1", "serving"), ("en-fr", "1", "draining")]
            assert not engine.is_closed
        await change.finished()
        assert engine.is_closed
        assert stage.states() == [("en-de", "1", "serving")]
        assert stage.changes("en-fr", "unload", "done") == 1

    run(story)


def test_the_last_model_is_not_unloaded() -> None:
    async def story() -> None:
        stage = pretended("en-de", "en-fr")
        await stage.hosting.unload("en-fr").finished()
        with pytest.raises(LastModel, match="load another one"):
            stage.hosting.unload("en-de")
        assert await translated(stage) == "One.1"

    run(story)


def test_who_still_runs_after_the_drain_timeout_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        stage = pretended("en-de", "en-fr", drain_timeout_seconds=0.05)
        with stage.lifecycle.request():
            await stage.hosting.unload("en-fr").finished()
        assert stage.starts[1].engine.is_closed
        assert "drain timeout of a model" in caplog.text

    run(story)


def test_at_the_servers_end_what_is_being_loaded_is_given_up_and_nothing_new_begins() -> None:
    async def story() -> None:
        stage = pretended("en-de")
        stage.at_once = False
        stage.folders.put("french", "en-fr")
        change = await stage.hosting.load("french")
        await until(lambda: len(stage.starts) == 2)
        stage.starts[1].failure = EngineDraining()
        stage.hosting.begin_closing()
        with pytest.raises(Draining):
            await change.finished()
        with pytest.raises(Draining):
            await load(stage, "french")
        await asyncio.to_thread(stage.hosting.close)
        assert stage.starts[0].engine.is_closed

    run(story)


@pytest.fixture(autouse=True)
def every_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "service.hosting")
