"""From settings to a translator: reads the bundles, starts an engine for each, loads the language detector.

Slow to import, so it is imported where it runs: in the background, while the server listens already. Knows
bundles, engines and settings; must not know HTTP, nor torch, which is the business of an engine's process.
"""

import logging
import time
from collections.abc import Iterable
from pathlib import Path

from model.bundle_head import list_bundles
from model.manifest import BundleError
from service.engine import CoalescingEngine, EngineHandle
from service.engine_start import start_engine
from service.languages import load_identifier
from service.metrics import EngineMetrics, Metrics
from service.registry import ServedModel
from service.settings import Settings
from service.started_engine import StartedEngine, StartingEngine
from service.translator import Translator
from service.translators import Translators

logger = logging.getLogger(__name__)


def load_translator(settings: Settings, metrics: Metrics) -> Translator:
    """Everything in memory and running. Raises BundleError for a bundle that is missing or broken."""
    observer = EngineMetrics(metrics)
    folders = require_bundles(settings.models_dir)
    engines = [start_engine(folder, settings, observer) for folder in folders]
    try:
        identifier = load_identifier()  # while engines load in processes of their own
        models = _serve_all(engines, observer if settings.coalesce else None)
        return Translators(settings, identifier, metrics).make(models)
    except BaseException:
        for engine in engines:
            engine.close()
        raise


def require_bundles(root: Path) -> list[Path]:
    """The bundles to serve; at least one. Raises BundleError that says what to do."""
    bundles = list_bundles(root)
    if not bundles:
        raise BundleError(
            root, "no bundle found in this folder; train one with `verto train`, or name another --models-dir"
        )
    return bundles


def _serve_all(engines: Iterable[StartingEngine], joins: EngineMetrics | None) -> list[ServedModel]:
    """`joins` hears of segments that share a computation; None: none does."""
    models: dict[str, ServedModel] = {}
    for engine in engines:
        started = engine.finish()
        if (name := started.head.info.name) in models:
            raise BundleError(started.head.path, f"another bundle in this folder is called {name!r} too")
        models[name] = _serve(started, joins)
    return list(models.values())


def _serve(started: StartedEngine, joins: EngineMetrics | None) -> ServedModel:
    head = started.head
    engine: EngineHandle = started.engine
    if joins is not None:
        engine = CoalescingEngine(engine, joins.coalesced)
    model = ServedModel(
        name=head.info.name,
        version=head.info.version,
        directions=head.info.directions,
        dtype=started.dtype,
        device=started.device,
        created=_created(head.path),
        load_seconds=started.load_seconds,
        max_source_length=head.config.max_source_length,
        alignment_layer=head.config.alignment_layer,
        defaults=head.info.decoding,
        tokenizer=head.tokenizer,
        engine=engine,
        signals=head.info.signals,
    )
    logger.info("model loaded", extra=_description(model))
    return model


def _description(model: ServedModel) -> dict[str, str | float]:
    """For the log: what runs, in which numbers, by which path."""
    return {
        "model": model.name,
        "seconds": round(model.load_seconds, 2),
        "device": model.device,
        "precision": model.dtype,
        "path": model.path,
    }


def _created(folder: Path) -> int:
    """When the bundle was written: its manifest is the last file that is."""
    manifest = folder / "manifest.json"
    return int(manifest.stat().st_mtime if manifest.is_file() else time.time())
