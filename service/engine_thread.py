"""From a bundle's folder to an engine in a thread of this process.

Knows: bundles, plans, the engine; imports torch. Must not know: settings, translators, HTTP.
"""

from pathlib import Path

from model.bundle_head import load_bundle_head
from model.manifest import BundleError
from service.engine import EngineConfig, EngineObserver
from service.engine.network_plan import NetworkPlan
from service.engine.network_start import start_network
from service.engine.thread_engine import ThreadEngine
from service.metrics import Stopwatch
from service.started_engine import StartedEngine


class StartingThread:
    """A `StartingEngine` that loads when it is waited for: this process does one thing after the other."""

    def __init__(
        self, folder: Path, plan: NetworkPlan, config: EngineConfig, observer: EngineObserver
    ) -> None:
        self._folder, self._plan, self._config, self._observer = folder, plan, config, observer
        self._engine: ThreadEngine | None = None

    def finish(self) -> StartedEngine:
        stopwatch, config = Stopwatch(), self._config
        head = load_bundle_head(self._folder)
        limits = (config.num_threads, config.cache_bytes_limit, config.max_rows)
        started = start_network(self._folder, self._plan, *limits)
        if started.manifest_digest != head.manifest_digest:
            raise BundleError(self._folder, "was changed while it was being loaded")
        self._engine = ThreadEngine(
            started.network,
            config,
            self._observer,
            bytes_per_position=started.bytes_per_position,
            make_faster=started.make_faster,
        )
        return StartedEngine(
            head=head,
            dtype=started.network.precision,
            device=str(started.network.device),
            load_seconds=stopwatch.seconds(),
            engine=self._engine,
        )

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()
