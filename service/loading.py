"""From settings to models that are served: reads the bundles, starts an engine for each, loads the detector.

Slow to import, so it is imported where it runs: in the background, while the server listens already. Knows
bundles, engines and settings; must not know HTTP, nor torch, which is the business of an engine's process.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from model.bundle_head import list_bundles, why_no_bundle
from model.manifest import BundleError
from service.engine.network_plan import PlanError
from service.hosting.budget import Budget
from service.hosting.bundle_folders import BundleFolders, in_mb
from service.hosting.hosting import Hosting
from service.hosting.instances import Instances
from service.hosting.stage import Stage
from service.languages import load_identifier
from service.lifecycle import Lifecycle
from service.metrics import Metrics
from service.model_start import StartingModel
from service.registry import ServedModel
from service.settings import Settings
from service.translation import TranslationObserver
from service.translator import Translator
from service.translators import Translators


def load_translator(settings: Settings, metrics: Metrics) -> Translator:
    """Everything in memory and running, to stay as it is. Raises as `load_hosting` does."""
    models, translators = _load(settings, metrics)
    return translators.make(models)


def load_hosting(
    settings: Settings,
    metrics: Metrics,
    lifecycle: Lifecycle,
    observer: TranslationObserver | None = None,
) -> Hosting:
    """Everything in memory and running, to be changed while it is served. `observer` hears translations in
    place of the metrics.

    Raises BundleError for a bundle that is missing or broken, PlanError for models beyond their limit.
    """
    models, translators = _load(settings, metrics, observer)
    folders, instances = BundleFolders(settings), Instances()
    for path, model in zip(list_bundles(settings.models_dir), models, strict=True):
        instance = instances.add(folders.describe(path))
        instance.model = model
        instance.enter("serving")

    def start(folder: Path) -> StartingModel:
        return StartingModel(folder, settings, metrics)

    stage = Stage(lifecycle, translators, start, instances, settings.drain_timeout_seconds)
    hosting = Hosting(folders, instances, stage, Budget(settings.models_bytes_limit), metrics)
    if settings.watch_seconds:
        hosting.watch_folder(settings.watch_seconds, settings.watch_swap)
    return hosting


def require_bundles(root: Path) -> list[Path]:
    """The bundles to serve; at least one. Raises BundleError that says what to do."""
    bundles = list_bundles(root)
    if not bundles:
        raise BundleError(
            root, f"{why_no_bundle(root)}; train one with `verto train`, or name another --models-dir"
        )
    return bundles


def _load(
    settings: Settings, metrics: Metrics, observer: TranslationObserver | None = None
) -> tuple[list[ServedModel], Translators]:
    """The models in the order of their folders."""
    folders = require_bundles(settings.models_dir)
    _check_limit(folders, settings)
    starting = [StartingModel(folder, settings, metrics) for folder in folders]
    try:
        identifier = load_identifier()  # while engines load in processes of their own
        models = _finish_all(folders, starting)
    except BaseException:
        for one in starting:
            one.close()
        raise
    return models, Translators(settings, identifier, observer or metrics)


def _check_limit(folders: Sequence[Path], settings: Settings) -> None:
    """Raises PlanError where all models together would be more than is allowed."""
    if not settings.models_bytes_limit:
        return
    describe = BundleFolders(settings).describe
    needed = sum(describe(folder).need.total for folder in folders)
    limit = settings.models_bytes_limit
    if needed > limit:
        raise PlanError(
            f"models_bytes_limit is {limit} ({in_mb(limit)}), and the models need {in_mb(needed)}; raise it, "
            "lower cache_bytes_limit, or serve fewer models"
        )


def _finish_all(folders: Sequence[Path], starting: Sequence[StartingModel]) -> list[ServedModel]:
    models: dict[str, ServedModel] = {}
    for folder, one in zip(folders, starting, strict=True):
        model = one.finish()
        if model.name in models:
            raise BundleError(folder, f"another bundle in this folder is called {model.name!r} too")
        models[model.name] = model
    return list(models.values())
