"""From a bundle's folder to a running engine: in a process of its own, or in a thread of this one.

Knows bundles, settings, both backings of the door; must not know translators or HTTP, and does not import
torch. What is made here has begun to start already, so that several start at once; `finish` waits for one.
"""

from pathlib import Path

from model.bundle_head import load_bundle_head
from model.manifest import BundleError
from service.engine import EngineConfig, EngineObserver
from service.engine.child import EngineProcess
from service.engine.network_plan import NetworkPlan
from service.engine.process_engine import ProcessEngine
from service.engine.wire import Start
from service.metrics import Stopwatch
from service.settings import Settings
from service.started_engine import StartedEngine, StartingEngine


def start_engine(folder: Path, settings: Settings, observer: EngineObserver) -> StartingEngine:
    """In the backing that the settings ask for."""
    plan = network_plan(settings)
    config = EngineConfig(
        max_rows=settings.max_rows,
        max_queue_tokens=settings.max_queue_tokens,
        cache_bytes_limit=settings.cache_bytes_limit,
        num_threads=settings.num_threads,
    )
    if settings.engine == "process":
        return _StartingProcess(folder, plan, config, settings, observer)
    from service.engine_thread import StartingThread  # torch, which the other backing leaves to its child

    return StartingThread(folder, plan, config, observer)


def network_plan(settings: Settings) -> NetworkPlan:
    """How a model is to be run, as the settings say."""
    return NetworkPlan(
        device=settings.device,
        precision=settings.precision,
        kernels=settings.kernels,
        cache_dir=settings.cache_dir,
        compiler=settings.cxx,
    )


class _StartingProcess:
    """The child reads the weights, while this process reads the rest of the bundle."""

    def __init__(
        self,
        folder: Path,
        plan: NetworkPlan,
        config: EngineConfig,
        settings: Settings,
        observer: EngineObserver,
    ) -> None:
        self._folder, self._stopwatch = folder, Stopwatch()
        start = Start(bundle=folder, plan=plan, config=config)
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
