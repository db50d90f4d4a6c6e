"""What a server begins with: models that can be changed later, within the memory they may have together."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from service.engine.network_plan import PlanError
from service.errors import InsufficientMemory
from service.hosting.bundle_folders import BundleFolders
from service.hosting.hosting import Hosting
from service.jobs import TranslationJob
from service.lifecycle import Lifecycle
from service.loading import load_hosting
from service.metrics import Metrics
from service.settings import Settings
from tests.builders import tiny_bundle, tiny_info
from tests.service.turns import until


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny_bundle(folder / "a", info=tiny_info(name="second"))
    tiny_bundle(folder / "b", info=tiny_info(name="first"))
    return folder


def settings(root: Path, **fields: object) -> Settings:
    plain = {"engine": "thread", "num_threads": 1, "device": "cpu", "cache_bytes_limit": 1_000_000}
    return Settings(models_dir=root, **{**plain, **fields})  # type: ignore[arg-type]


def hosted(chosen: Settings) -> Hosting:
    return load_hosting(chosen, Metrics(), Lifecycle())


def test_models_at_the_start_are_known_by_their_folders_and_manifests(root: Path) -> None:
    hosting = hosted(settings(root))
    try:
        told = [(one.name, one.bundle.folder, one.state) for one in hosting.instances.all()]
        assert told == [("first", "b", "serving"), ("second", "a", "serving")]
        for one in hosting.instances.all():
            assert one.model is not None
            assert one.model.name == one.name
            assert one.model.manifest_digest == one.bundle.digest
        assert [model.name for model in hosting.translator().registry.models] == ["first", "second"]
        assert hosting.watch is None
    finally:
        hosting.close()


def test_an_engine_in_the_servers_own_process_is_loaded_and_swapped_too(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "a", tmp_path / "a")
    lifecycle = Lifecycle()
    hosting = load_hosting(settings(tmp_path), Metrics(), lifecycle)

    async def story() -> None:
        lifecycle.ready(hosting.translator(), hosting)
        shutil.copytree(root / "b", tmp_path / "b")
        await (await hosting.load("b")).finished()
        await (await hosting.reload("second")).finished()
        translator = lifecycle.require_translator()
        assert [model.name for model in translator.registry.models] == ["first", "second"]
        for name in ("first", "second"):
            job = TranslationJob(texts=("Ba de fi.",), source="en", target="de", model=name, options={})
            with await translator.start(job) as running:
                assert (await running.result()).usage.target_tokens > 0
        await until(lambda: len(hosting.instances.all()) == 2)

    try:
        asyncio.run(story())
    finally:
        hosting.close()


def test_models_that_need_more_than_they_may_have_are_refused_at_the_start_in_numbers(root: Path) -> None:
    needed = 2 * BundleFolders(settings(root)).find("a").need.total
    with pytest.raises(PlanError, match=f"models_bytes_limit is {needed - 1} "):
        hosted(settings(root, models_bytes_limit=needed - 1))
    hosting = hosted(settings(root, models_bytes_limit=needed, watch_seconds=5, watch_swap="unload_first"))
    try:
        assert hosting.budget.free_bytes(hosting.instances.in_memory()) == 0
        assert hosting.watch is not None
        assert hosting.watch.seconds == 5
        with pytest.raises(InsufficientMemory):
            asyncio.run(hosting.load("a", "beside"))
    finally:
        hosting.close()
