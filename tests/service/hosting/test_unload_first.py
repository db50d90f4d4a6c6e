"""A swap that gives up the old model before the new one is loaded, where there is no room for both."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from service.engine.network_plan import PlanError
from service.errors import BundleInvalid, EngineDown, InsufficientMemory, LastModel, LoadFailed
from service.hosting.budget import Budget
from service.hosting.bundle_folders import MemoryNeed
from tests.service.hosting.pretended import load, pretended, translated
from tests.service.turns import until


def run(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(story())  # type: ignore[arg-type]


SMALL = MemoryNeed(weights=100, cache=20, process=0)


def test_a_swap_without_room_for_both_is_refused_with_the_numbers_and_can_give_up_the_old_model_first() -> (
    None
):
    async def story() -> None:
        stage = pretended("en-de", budget=Budget(200))
        stage.folders.put("second", "en-de", "2", SMALL)
        with pytest.raises(InsufficientMemory, match="unload_first") as caught:
            await stage.hosting.load("second", "beside")
        (fault,) = caught.value.faults
        assert (fault.bound, fault.value) == ("a bundle that needs at most 80 bytes", 120)
        assert stage.changes("en-de", "swap", "refused") == 1
        assert stage.states() == [("en-de", "1", "serving")]
        await load(stage, "second", "unload_first")
        assert stage.states() == [("en-de", "2", "serving")]
        assert stage.starts[0].engine.is_closed

    run(story)


def test_between_two_models_requests_are_told_to_come_again_and_the_server_is_not_ready() -> None:
    async def story() -> None:
        stage = pretended("en-de", "en-fr")
        stage.at_once = False
        stage.folders.put("second", "en-de", "2")
        change = await stage.hosting.load("second", "unload_first")
        await until(lambda: len(stage.starts) == 3)
        assert stage.starts[0].engine.is_closed, "its memory is free before the new one is loaded"
        assert not stage.lifecycle.is_ready
        assert stage.names() == ["en-de", "en-fr"]
        with pytest.raises(EngineDown) as caught:
            await translated(stage, target="de")
        assert caught.value.retry_after_seconds
        assert await translated(stage, target="fr") == "One.1"
        with pytest.raises(LastModel):
            stage.hosting.unload("en-fr")
        stage.starts[2].let()
        await change.finished()
        assert stage.lifecycle.is_ready
        assert await translated(stage, target="de") == "One.2"

    run(story)


@pytest.mark.parametrize("others", [(), ("en-fr",)])
def test_a_model_that_was_given_up_first_comes_back_when_the_new_one_does_not_start(
    others: tuple[str, ...],
) -> None:
    async def story() -> None:
        stage = pretended("en-de", *others)
        stage.at_once = False
        stage.folders.put("second", "en-de", "2")
        change = await stage.hosting.load("second", "unload_first")
        await until(lambda: len(stage.starts) == 2 + len(others))
        stage.at_once = True
        stage.starts[-1].let(PlanError("no"))
        with pytest.raises(LoadFailed):
            await change.finished()
        assert await translated(stage, target="de") == "One.1"
        assert stage.lifecycle.is_ready
        assert ("en-de", "2", "failed") in stage.states()

    run(story)


@pytest.mark.parametrize("others", [(), ("en-fr",)])
def test_a_model_whose_folder_holds_another_bundle_cannot_come_back(others: tuple[str, ...]) -> None:
    async def story() -> None:
        stage = pretended("en-de", *others)
        stage.at_once = False
        stage.folders.put("en-de", "en-de", "2")
        change = await stage.hosting.reload("en-de", "unload_first")
        await until(lambda: len(stage.starts) == 2 + len(others))
        stage.starts[-1].let(PlanError("no"))
        with pytest.raises(LoadFailed):
            await change.finished()
        reasons = [one.reason for one in stage.hosting.instances.of("en-de")]
        assert reasons == ["no", "en-de: holds another bundle than before"]
        # Others go on; alone, the server is not ready and says "come again", so that somebody sees to it.
        assert stage.names() == (list(others) or ["en-de"])
        assert stage.lifecycle.is_ready == bool(others)
        stage.at_once = True
        await load(stage, "en-de")
        assert await translated(stage, target="de") == "One.2"
        assert stage.lifecycle.is_ready

    run(story)


def test_a_broken_bundle_is_noticed_before_the_old_model_is_given_up() -> None:
    async def story() -> None:
        stage = pretended("en-de")
        stage.folders.put("second", "en-de", "2")
        stage.folders.broken.add("second")
        with pytest.raises(BundleInvalid, match=r"second/model\.safetensors: its SHA-256"):
            await load(stage, "second", "unload_first")
        assert len(stage.starts) == 1
        assert await translated(stage) == "One.1"

    run(story)
