"""From a bundle's folder to an engine in a thread of this process.

Knows: bundles, devices, the engine; imports torch. Must not know: settings, translators, HTTP.
"""

from pathlib import Path

from model.bundle_head import BundleHead
from model.checkpoint import load_bundle
from model.devices import choose_device
from service.engine import EngineConfig, EngineObserver
from service.engine.thread_engine import ThreadEngine
from service.metrics import Stopwatch
from service.started_engine import StartedEngine


class StartingThread:
    """A `StartingEngine` that loads when it is waited for: this process does one thing after the other."""

    def __init__(self, folder: Path, device: str, config: EngineConfig, observer: EngineObserver) -> None:
        self._folder, self._device, self._config, self._observer = folder, device, config, observer
        self._engine: ThreadEngine | None = None

    def finish(self) -> StartedEngine:
        stopwatch = Stopwatch()
        bundle = load_bundle(self._folder, device=choose_device(self._device))
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
