"""Hosting over bundles that exist in name only, and engines that start when and as a test wants.

Knows how hosting is put together. Must not know what a test wants to find out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from model.manifest import BundleError
from service.hosting.budget import Budget
from service.hosting.bundle_folders import BundleFolders, FoundBundle, MemoryNeed, unknown_folder
from service.hosting.change import SwapMode
from service.hosting.hosting import Hosting
from service.hosting.instances import Instances
from service.hosting.stage import Stage
from service.jobs import TranslationJob
from service.lifecycle import Lifecycle
from service.metrics import Metrics
from service.registry import ServedModel
from service.settings import Settings
from service.translator import Translator
from service.translators import Translators
from tests.fakes import FakeEngine, fake_translator, served_model

ROOT = Path("/models")
PATIENCE_SECONDS = 60.0
ONE = MemoryNeed(weights=100, cache=20, process=0)


class PretendedFolders(BundleFolders):
    """Bundles by folder. `broken` are the folders whose weights are not what the manifest says."""

    def __init__(self) -> None:
        super().__init__(Settings(models_dir=ROOT))
        self.bundles: dict[str, FoundBundle] = {}
        self.broken: set[str] = set()

    def put(self, folder: str, name: str, version: str = "1", need: MemoryNeed = ONE) -> FoundBundle:
        """It lies there from now on; another one of the same version has another manifest."""
        digest = f"{name} {version} {len(self.bundles)} {folder}"
        bundle = FoundBundle(folder, ROOT / folder, name, version, digest, need)
        self.bundles[folder] = bundle
        return bundle

    def names(self) -> list[str]:
        return sorted(self.bundles)

    def find(self, folder: str) -> FoundBundle:
        if folder not in self.bundles:
            raise unknown_folder(folder, self.names())
        return self.bundles[folder]

    def describe(self, path: Path) -> FoundBundle:
        if path.name not in self.bundles:
            raise BundleError(path, "no such folder")
        return self.bundles[path.name]

    def verify(self, path: Path) -> None:
        if path.name in self.broken:
            raise BundleError(path / "model.safetensors", "its SHA-256 is not the one in manifest.json")


@dataclass(eq=False)
class PretendedStart:
    """An engine that starts once it is `let`; `failure` is what it then fails of."""

    bundle: FoundBundle
    engine: FakeEngine
    failure: Exception | None = None
    is_closed: bool = False
    _let: threading.Event = field(default_factory=threading.Event)

    def let(self, failure: Exception | None = None) -> None:
        self.failure = self.failure or failure
        self._let.set()

    def finish(self) -> ServedModel:
        assert self._let.wait(PATIENCE_SECONDS)
        if self.failure is not None:
            raise self.failure
        model = served_model(self.engine, self.bundle.name, _directions(self.bundle.name))
        return replace(model, version=self.bundle.version, manifest_digest=self.bundle.digest)

    def close(self) -> None:
        self.is_closed = True
        self.engine.close()
        self.let()


def _directions(name: str) -> list[tuple[str, str]]:
    source, _, target = name.partition("-")
    return [(source, target or "de")]


@dataclass
class Pretended:
    """`starts` are all starts so far; `at_once` lets each go on without being asked."""

    hosting: Hosting
    folders: PretendedFolders
    lifecycle: Lifecycle
    metrics: Metrics
    starts: list[PretendedStart]
    at_once: bool = True
    failures: dict[str, Exception] = field(default_factory=dict)  # of starts, by the folder

    def names(self) -> list[str]:
        """What requests may name."""
        assert self.lifecycle.loaded is not None
        return [model.name for model in self.lifecycle.loaded.registry.models]

    def states(self) -> list[tuple[str, str, str]]:
        """Name, version and state of every instance."""
        return [(one.name, one.bundle.version, one.state) for one in self.hosting.instances.all()]

    def changes(self, model: str, change: str, outcome: str) -> float:
        labels = {"model": model, "change": change, "outcome": outcome}
        return self.metrics.registry.get_sample_value("verto_model_changes_total", labels) or 0.0


class _PlainTranslators(Translators):
    """Their languages are told by a fake."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def make(self, models: Sequence[ServedModel], before: Translator | None = None) -> Translator:
        return fake_translator(*models, metrics=self._metrics)


def pretended(
    *names: str,
    budget: Budget | None = None,
    drain_timeout_seconds: float = PATIENCE_SECONDS,
    engine: Callable[[FoundBundle], FakeEngine] = lambda bundle: FakeEngine(
        lambda text: text + bundle.version
    ),
) -> Pretended:
    """A server that serves the models of these names, each from a folder that is called so."""
    folders, lifecycle, metrics, instances = PretendedFolders(), Lifecycle(), Metrics(), Instances()
    starts: list[PretendedStart] = []

    def start(path: Path) -> PretendedStart:
        bundle = folders.bundles[path.name]
        starts.append(one := PretendedStart(bundle, engine(bundle), stage.failures.get(bundle.folder)))
        if stage.at_once:
            one.let()
        return one

    for name in names:
        instance = instances.add(folders.put(name, name))
        first = PretendedStart(instance.bundle, engine(instance.bundle))
        first.let()
        starts.append(first)
        instance.model = first.finish()
        instance.enter("serving")
    made = Stage(lifecycle, _PlainTranslators(metrics), start, instances, drain_timeout_seconds)
    hosting = Hosting(folders, instances, made, budget or Budget(0, lambda: None), metrics)
    stage = Pretended(hosting, folders, lifecycle, metrics, starts)
    lifecycle.ready(hosting.translator(), hosting)
    return stage


def fake_hosting(lifecycle: Lifecycle, *models: ServedModel) -> Hosting:
    """Of models that a test has made itself."""
    folders, instances, metrics = PretendedFolders(), Instances(), Metrics()
    for model in models:
        instance = instances.add(folders.put(model.name, model.name))
        instance.model = model
        instance.enter("serving")

    def start(path: Path) -> PretendedStart:
        raise AssertionError("nothing is loaded here")

    stage = Stage(lifecycle, _PlainTranslators(metrics), start, instances, PATIENCE_SECONDS)
    return Hosting(folders, instances, stage, Budget(0, lambda: None), metrics)


async def translated(stage: Pretended, **fields: str) -> str:
    """One sentence by what is served now; `fields` are the job's."""
    job = TranslationJob(texts=("One.",), options={}, **{"source": "en", **fields})  # type: ignore[arg-type]
    with await stage.lifecycle.require_translator().start(job) as running:
        return (await running.result()).texts[0].candidates[0].text


async def load(stage: Pretended, folder: str, mode: SwapMode = "none") -> None:
    """Begin and wait for the end. Raises ServiceError."""
    await (await stage.hosting.load(folder, mode)).finished()
