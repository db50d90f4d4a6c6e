"""The folder decides what is served: whole bundles come, changed ones are swapped, half ones waited for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from service.engine.network_plan import PlanError
from service.hosting import watch as watch_module
from service.hosting.budget import Budget
from service.hosting.folder_look import Sighting
from service.hosting.watch import Watch
from tests.service.hosting.pretended import Pretended, load, pretended, translated
from tests.service.turns import until


class Folder:
    """What a look would see: the bundles of a pretended server, with the faults that a test says."""

    def __init__(self, stage: Pretended, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stage = stage
        self.faults: dict[str, str] = {}
        self.touched: dict[str, int] = {}
        self.watch = Watch(stage.hosting, 5.0, "beside")
        monkeypatch.setattr(watch_module, "look", lambda folders: self.look())

    def look(self) -> dict[str, Sighting]:
        return {
            name: Sighting(bundle.digest, (bundle.digest, self.touched.get(name)), self.faults.get(name))
            for name, bundle in sorted(self.stage.folders.bundles.items())
        }

    async def turns(self, count: int) -> None:
        for _ in range(count):
            await self.watch.turn()


Story = Callable[[Folder], Awaitable[None]]


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Callable[..., None]:
    caplog.set_level(logging.INFO, "service.hosting")

    def run(story: Story, *names: str, limit: int = 0) -> None:
        async def whole() -> None:
            await story(
                Folder(pretended(*(names or ("en-de",)), budget=Budget(limit, lambda: None)), monkeypatch)
            )

        asyncio.run(whole())

    return run


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [str(getattr(one, "reason", "")) for one in caplog.records if one.name.endswith("watch")]


def test_a_new_bundle_is_loaded_once_it_looks_the_same_twice(watched: Callable[..., None]) -> None:
    async def story(folder: Folder) -> None:
        await folder.turns(3)
        assert len(folder.stage.starts) == 1, "what is served already is left alone"
        folder.stage.folders.put("french", "en-fr")
        await folder.turns(1)
        assert folder.stage.names() == ["en-de"]
        folder.touched["french"] = 1
        await folder.turns(1)
        assert folder.stage.names() == ["en-de"], "it is still being written"
        await folder.turns(1)
        assert folder.stage.names() == ["en-de", "en-fr"]
        await folder.turns(3)
        assert len(folder.stage.starts) == 2

    watched(story)


@pytest.mark.parametrize("name", ["en-de", "second"])
def test_another_manifest_is_swapped_in_under_its_folder_or_another_one(
    watched: Callable[..., None], name: str
) -> None:
    async def story(folder: Folder) -> None:
        await folder.turns(1)
        folder.stage.folders.put(name, "en-de", "2")
        await folder.turns(2)
        assert await translated(folder.stage) == "One.2"
        await folder.turns(3)
        await until(lambda: folder.stage.states() == [("en-de", "2", "serving")])

    watched(story)


def test_a_bundle_that_is_not_whole_is_waited_for_and_told_once(
    watched: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    async def story(folder: Folder) -> None:
        folder.stage.folders.put("french", "en-fr")
        folder.faults["french"] = "french/model.safetensors: missing"
        await folder.turns(5)
        assert folder.watch.waiting == {"french": "french/model.safetensors: missing"}
        assert warnings(caplog) == ["french/model.safetensors: missing"]
        assert len(folder.stage.starts) == 1
        assert folder.stage.changes("en-fr", "load", "failed") == 0
        folder.faults.clear()
        await folder.turns(1)
        assert folder.stage.names() == ["en-de", "en-fr"]
        assert folder.watch.waiting == {}

    watched(story)


def test_a_bundle_that_cannot_be_loaded_is_not_tried_again_until_a_file_changes(
    watched: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    async def story(folder: Folder) -> None:
        stage = folder.stage
        stage.folders.put("en-de", "en-de", "2")
        stage.at_once = False
        await folder.turns(1)
        for attempt in (2, 3):
            looking = asyncio.create_task(folder.turns(5))
            await until(lambda: len(stage.starts) == attempt)  # noqa: B023 (waited for at once)
            stage.starts[-1].let(PlanError("its SHA-256 is wrong"))
            await looking
            assert len(stage.starts) == attempt
            assert folder.watch.waiting == {"en-de": "its SHA-256 is wrong"}
            assert await translated(stage) == "One.1"
            folder.touched["en-de"] = attempt
        assert warnings(caplog) == ["its SHA-256 is wrong"]

    watched(story)


def test_what_has_no_room_is_tried_again_when_other_models_have_gone(
    watched: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    async def story(folder: Folder) -> None:
        folder.stage.folders.put("third", "en-it")
        await folder.turns(6)
        assert folder.stage.changes("en-it", "load", "refused") == 1
        assert len(warnings(caplog)) == 1
        await folder.stage.hosting.unload("en-fr").finished()
        await folder.turns(1)
        assert folder.stage.names() == ["en-de", "en-it"]

    watched(story, "en-de", "en-fr", limit=250)


def test_a_folder_that_is_gone_at_two_looks_is_unloaded(watched: Callable[..., None]) -> None:
    async def story(folder: Folder) -> None:
        bundle = folder.stage.folders.bundles.pop("en-fr")
        await folder.turns(1)
        folder.stage.folders.bundles["en-fr"] = bundle
        await folder.turns(2)
        assert folder.stage.names() == ["en-de", "en-fr"], "it was between two renames"
        del folder.stage.folders.bundles["en-fr"]
        await folder.turns(2)
        assert folder.stage.names() == ["en-de"]
        folder.stage.folders.bundles["en-fr"] = bundle
        await folder.turns(2)
        assert folder.stage.names() == ["en-de", "en-fr"], "it has come back"

    watched(story, "en-de", "en-fr")


def test_the_last_model_is_served_on_without_its_folder_until_another_one_is_there(
    watched: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    async def story(folder: Folder) -> None:
        del folder.stage.folders.bundles["en-de"]
        folder.stage.folders.put("french", "en-fr")
        folder.faults["french"] = "french/config.json: missing"
        await folder.turns(5)
        assert folder.stage.names() == ["en-de"]
        assert "its folder is gone; en-de is served on, since it is the only model" in warnings(caplog)
        folder.faults.clear()
        await folder.turns(2)
        await until(lambda: folder.stage.names() == ["en-fr"])

    watched(story)


def test_a_volume_that_is_away_changes_nothing(
    watched: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    async def story(folder: Folder) -> None:
        bundles = dict(folder.stage.folders.bundles)
        folder.stage.folders.bundles.clear()
        await folder.turns(5)
        assert folder.stage.names() == ["en-de", "en-fr"]
        assert len(warnings(caplog)) == 1
        folder.stage.folders.bundles.update(bundles)
        await folder.turns(3)
        assert folder.watch.waiting == {}
        assert len(folder.stage.starts) == 2

    watched(story, "en-de", "en-fr")


def test_what_an_operator_has_done_stays_until_the_folder_changes(watched: Callable[..., None]) -> None:
    async def story(folder: Folder) -> None:
        await folder.turns(2)
        await folder.stage.hosting.unload("en-fr").finished()
        folder.stage.folders.put("third", "en-it")
        await load(folder.stage, "third")
        await folder.turns(4)
        assert folder.stage.names() == ["en-de", "en-it"]
        assert len(folder.stage.starts) == 3
        folder.stage.folders.put("en-fr", "en-fr", "2")
        await folder.turns(2)
        assert folder.stage.names() == ["en-de", "en-fr", "en-it"]

    watched(story, "en-de", "en-fr")


def test_a_look_that_fails_is_logged_and_the_next_one_may_go_better(
    watched: Callable[..., None], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(folder: Folder) -> None:
        failures: list[Exception] = [PermissionError(13, "Permission denied"), ValueError("a defect")]
        looked = folder.look

        def look(folders: object) -> dict[str, Sighting]:
            if failures:
                raise failures.pop(0)
            return looked()

        monkeypatch.setattr(watch_module, "look", look)
        folder.stage.folders.put("french", "en-fr")
        folder.stage.hosting.watch = Watch(folder.stage.hosting, 0.001, "beside")
        folder.stage.hosting.begin()
        await until(lambda: folder.stage.names() == ["en-de", "en-fr"])
        assert warnings(caplog)[1] == "Permission denied"
        assert "a look at the models' folder failed" in caplog.text
        folder.stage.hosting.begin_closing()
        await asyncio.sleep(0.02)
        folder.stage.folders.put("third", "en-it")
        await asyncio.sleep(0.02)
        assert len(folder.stage.starts) == 2

    watched(story)
