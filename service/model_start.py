"""From a bundle's folder to a model that can be served, its engine running.

Knows bundles, engines and settings; must not know which models are served, HTTP, nor torch, which is the
business of an engine's process.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

from service.engine import CoalescingEngine, EngineHandle
from service.engine_start import start_engine
from service.metrics import EngineMetrics, Metrics
from service.registry import ServedModel
from service.served_model import served_model
from service.settings import Settings
from service.started_engine import StartedEngine

logger = logging.getLogger(__name__)


class StartingModel:
    """A bundle whose engine has begun to start, so that several may start at once."""

    def __init__(self, folder: Path, settings: Settings, metrics: Metrics) -> None:
        observer = EngineMetrics(metrics)
        self._copying = settings.copying
        self._joins = observer if settings.coalesce else None
        self._engine = start_engine(folder, settings, observer)

    def finish(self) -> ServedModel:
        """Wait until it takes work. Raises BundleError for a bundle that is broken, and what else an engine
        may fail of: `PlanError`, `DeviceError`, `StartError`."""
        model = _served(self._engine.finish(), self._joins, self._copying)
        logger.info("model loaded", extra=_description(model))
        return model

    def close(self) -> None:
        """Stop its engine, whether it has started or not."""
        self._engine.close()


def _served(started: StartedEngine, joins: EngineMetrics | None, copying: bool) -> ServedModel:
    """`joins` hears of segments that share a computation; None: none does."""
    head = started.head
    engine: EngineHandle = started.engine
    if joins is not None:
        engine = CoalescingEngine(engine, joins.coalesced)
    return served_model(
        head,
        engine,
        started.dtype,
        started.device,
        created=_created(head.path),
        load_seconds=started.load_seconds,
        copying=copying,
    )


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
