"""From a bundle's folder to a running engine: in a process of its own, or in a thread of this one.

Knows bundles, devices, both backings of the door; must not know translators or HTTP. What is made here has
begun to start already, so that several start at once; `finish` waits for one of them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from model.checkpoint import BundleError, BundleHead, load_bundle, load_bundle_head
from service.engine import EngineConfig, EngineHandle, EngineObserver, ThreadEngine
from service.engine.child import EngineProcess
from service.engine.process_engine import ProcessEngine
from service.engine.wire import Start
from service.metrics import Stopwatch
from service.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedEngine:
    """An engine that takes work, and what its model is."""

    head: BundleHead
    dtype: str
    device: str
    load_seconds: float
    engine: EngineHandle


class StartingEngine(Protocol):
    """An engine on its way."""

    def finish(self) -> StartedEngine:
        """Wait until it takes work. Raises BundleError for a bundle that is broken."""

    def close(self) -> None:
        """Stop it, whether it has started or not."""


def start_engine(
    folder: Path, device: torch.device, settings: Settings, observer: EngineObserver
) -> StartingEngine:
    """In the backing that the settings ask for."""
    config = EngineConfig(
        max_rows=settings.max_rows,
        max_queue_tokens=settings.max_queue_tokens,
        cache_bytes_limit=settings.cache_bytes_limit,
        num_threads=settings.num_threads,
    )
    if settings.engine == "process":
        return _StartingProcess(folder, device, config, settings, observer)
    return _StartingThread(folder, device, config, observer)


class _StartingProcess:
    """The child reads the weights, while this process reads the rest of the bundle."""

    def __init__(
        self,
        folder: Path,
        device: torch.device,
        config: EngineConfig,
        settings: Settings,
        observer: EngineObserver,
    ) -> None:
        self._folder, self._stopwatch = folder, Stopwatch()
        start = Start(bundle=folder, device=str(device), config=config)
        log = (settings.log_format, settings.log_level)
        self._engine = ProcessEngine(
            lambda: EngineProcess(start, log), config, observer, stuck_seconds=settings.engine_stuck_seconds
        )

    def finish(self) -> StartedEngine:
        head = load_bundle_head(self._folder)
        ready = self._engine.wait_until_ready()
        if ready.manifest_digest != head.manifest_digest:
            raise BundleError(self._folder, "was changed while it was being loaded")
        return StartedEngine(
            head=head,
            dtype=ready.dtype,
            device=ready.device,
            load_seconds=self._stopwatch.seconds(),
            engine=self._engine,
        )

    def close(self) -> None:
        self._engine.close()


class _StartingThread:
    """Loads when it is waited for: what this process does, it does one after the other."""

    def __init__(
        self, folder: Path, device: torch.device, config: EngineConfig, observer: EngineObserver
    ) -> None:
        self._folder, self._device, self._config, self._observer = folder, device, config, observer
        self._engine: ThreadEngine | None = None

    def finish(self) -> StartedEngine:
        stopwatch = Stopwatch()
        bundle = load_bundle(self._folder, device=self._device)
        weight = bundle.model.output.weight
        self._engine = ThreadEngine(bundle, self._config, self._observer)
        head = BundleHead(
            path=bundle.path,
            info=bundle.info,
            config=bundle.config,
            tokenizer=bundle.tokenizer,
            manifest_digest=bundle.manifest_digest,
        )
        return StartedEngine(
            head=head,
            dtype=str(weight.dtype).removeprefix("torch."),
            device=str(weight.device),
            load_seconds=stopwatch.seconds(),
            engine=self._engine,
        )

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()
