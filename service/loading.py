"""From settings to a translator: reads the bundles, starts an engine for each, loads the language detector.

Imports torch, so it is imported where it runs: in the background, while the server listens already. Knows
bundles, engines and settings; must not know HTTP.
"""

import logging
import time
from pathlib import Path

import torch

from model.checkpoint import BundleError, list_bundles, load_bundle
from service.engine import CoalescingEngine, EngineConfig, EngineHandle, ThreadEngine
from service.languages import LanguageDetector
from service.metrics import EngineMetrics, Metrics, Stopwatch
from service.planning import Limits, Planner
from service.registry import ModelRegistry, ServedModel
from service.settings import Settings
from service.translator import Translator

logger = logging.getLogger(__name__)


def load_translator(settings: Settings, metrics: Metrics) -> Translator:
    """Everything in memory and running. Raises BundleError for a bundle that is missing or broken."""
    device = choose_device(settings.device)
    models: list[ServedModel] = []
    try:
        for folder in require_bundles(settings.models_dir):
            models.append(_serve(folder, device, settings, metrics, taken={model.name for model in models}))
        registry = ModelRegistry(models)
        detector = LanguageDetector.load(registry.languages)
    except BaseException:
        for model in models:
            model.engine.close()
        raise
    metrics.watch(registry.models)
    limits = Limits(settings.max_text_characters, settings.max_texts)
    return Translator(
        registry,
        Planner(registry, detector, limits),
        detector,
        metrics,
        default_timeout_seconds=settings.default_timeout_seconds,
        max_timeout_seconds=settings.max_timeout_seconds,
    )


def require_bundles(root: Path) -> list[Path]:
    """The bundles to serve; at least one. Raises BundleError that says what to do."""
    bundles = list_bundles(root)
    if not bundles:
        raise BundleError(
            root, "no bundle found in this folder; train one with `verto train`, or name another --models-dir"
        )
    return bundles


def choose_device(wanted: str) -> torch.device:
    """The device of the setting; `auto` is the first GPU where there is one."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(wanted)


def _serve(
    folder: Path, device: torch.device, settings: Settings, metrics: Metrics, taken: set[str]
) -> ServedModel:
    stopwatch = Stopwatch()
    bundle = load_bundle(folder, device=device)
    if bundle.info.name in taken:
        raise BundleError(folder, f"another bundle in this folder is called {bundle.info.name!r} too")
    config = EngineConfig(
        max_rows=settings.max_rows,
        max_queue_tokens=settings.max_queue_tokens,
        cache_bytes_limit=settings.cache_bytes_limit,
        num_threads=settings.num_threads,
    )
    observer = EngineMetrics(metrics)
    engine: EngineHandle = ThreadEngine(bundle, config, observer)
    if settings.coalesce:
        engine = CoalescingEngine(engine, observer.coalesced)
    parameter = next(bundle.model.parameters())
    model = ServedModel(
        name=bundle.info.name,
        version=bundle.info.version,
        directions=bundle.info.directions,
        dtype=str(parameter.dtype).removeprefix("torch."),
        device=str(parameter.device),
        created=_created(folder),
        load_seconds=stopwatch.seconds(),
        max_source_length=bundle.model.config.max_source_length,
        defaults=bundle.info.decoding,
        tokenizer=bundle.tokenizer,
        engine=engine,
    )
    logger.info("model loaded", extra={"model": model.name, "seconds": round(model.load_seconds, 2)})
    return model


def _created(folder: Path) -> int:
    """When the bundle was written: its manifest is the last file that is."""
    manifest = folder / "manifest.json"
    return int(manifest.stat().st_mtime if manifest.is_file() else time.time())
