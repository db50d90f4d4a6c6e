"""What is served at the moment, and how a model comes on and leaves.

    bring_up: load (a process starts) -> warm up            nobody else sees it yet
    show, hide: from the next request on                    who came before keeps what there was
    retire: wait for who may still use it -> drain -> end   at most `drain_timeout_seconds`

Knows engines' doors, translators, visits; must not know why a model comes or goes, nor HTTP. Used from the
event loop only, `close` excepted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from model.manifest import BundleError
from service.errors import DRAINING_RETRY_SECONDS, LOADING_RETRY_SECONDS, Draining
from service.hosting.absent_engine import AbsentEngine
from service.hosting.aside import aside
from service.hosting.instances import Instance, Instances
from service.hosting.warm_up import warm_up
from service.registry import ServedModel
from service.translator import Translator
from service.translators import Translators
from service.visits import Visits

logger = logging.getLogger(__name__)


class Starting(Protocol):
    """A model whose engine has begun to start."""

    def finish(self) -> ServedModel:
        """Wait until it takes work. Raises what keeps it from that."""

    def close(self) -> None:
        """Stop it, whether it has started or not."""


Start = Callable[[Path], Starting]


class Published(Protocol):
    """Where requests find what is served (`service.lifecycle.Lifecycle`)."""

    @property
    def loaded(self) -> Translator | None: ...

    @property
    def visits(self) -> Visits: ...

    def replace(self, translator: Translator) -> None: ...


class Stage:
    """Begins with the models of `instances` that serve."""

    def __init__(
        self,
        published: Published,
        translators: Translators,
        start: Start,
        instances: Instances,
        drain_timeout_seconds: float,
    ) -> None:
        self._published, self._translators, self._start = published, translators, start
        self._instances, self._drain_timeout_seconds = instances, drain_timeout_seconds
        self._shown = {one.name: one.model for one in instances.serving() if one.model is not None}
        self._absent: set[str] = set()  # of the names shown, those that are answered with 503
        self._starting: set[Starting] = set()
        self._is_closing = False

    def translator(self) -> Translator:
        """Of what is shown."""
        return self._translators.make(tuple(self._shown.values()), self._published.loaded)

    def shows_only(self, name: str) -> bool:
        """Whether without this name nothing would be served."""
        return set(self._shown) - self._absent <= {name}

    async def bring_up(self, instance: Instance) -> None:
        """Load and warm up. Raises what keeps the model from being served; then nothing of it is left."""
        self._check_open()
        starting = await aside(lambda: self._start(instance.path))
        self._starting.add(starting)
        try:
            self._check_open()
            model = await aside(starting.finish)
            if model.manifest_digest != instance.bundle.digest:
                raise BundleError(instance.path, "was changed while it was being loaded")
            instance.model = model
            instance.enter("warming")
            await warm_up(model)
        except (Exception, asyncio.CancelledError):
            await aside(starting.close)
            instance.model = None
            raise
        finally:
            self._starting.discard(starting)

    def _check_open(self) -> None:
        if self._is_closing:
            raise Draining("The server is shutting down.", retry_after_seconds=DRAINING_RETRY_SECONDS)

    def show(self, instance: Instance) -> None:
        """From the next request on it serves under its name, in the place of whoever did so far."""
        assert instance.model is not None
        for old in self._instances.of(instance.name):
            if old.state == "serving":
                old.enter("draining")
        instance.enter("serving")
        self._shown[instance.name] = instance.model
        self._absent.discard(instance.name)
        self._publish()

    def show_absence(self, instance: Instance) -> None:
        """From the next request on its name is answered with 503: there will be another model soon."""
        assert instance.model is not None
        engine = AbsentEngine(LOADING_RETRY_SECONDS, instance.model.engine.snapshot().max_queue_tokens)
        self._shown[instance.name] = replace(instance.model, engine=engine)
        self._absent.add(instance.name)
        instance.enter("draining")
        self._publish()

    def hide(self, name: str) -> None:
        """From the next request on nothing serves under this name."""
        if (instance := self._instances.serving_of(name)) is not None:
            instance.enter("draining")
        self._shown.pop(name, None)
        self._absent.discard(name)
        self._publish()

    async def retire(self, instance: Instance) -> None:
        """What runs on one that is shown no more ends in its own time, then the engine does."""
        model = instance.model
        assert model is not None
        try:
            async with asyncio.timeout(self._drain_timeout_seconds):
                await self._published.visits.wait_until_left(model, self._drain_timeout_seconds)
                await model.engine.drain()
        except TimeoutError:
            running = model.engine.snapshot().running_segments
            extra = {"model": instance.name, "version": model.version, "running_segments": running}
            logger.warning("drain timeout of a model; what still runs is given up", extra=extra)
        finally:
            await aside(model.engine.close)
            self._instances.remove(instance)
        logger.info("model unloaded", extra={"model": instance.name, "version": model.version})

    def begin_closing(self) -> None:
        """Nothing is brought up any more, and what is on its way is given up."""
        self._is_closing = True
        for starting in self._starting:
            aside(starting.close)

    def close(self) -> None:
        """Stop all engines at once, those that start among them. From any thread; blocks."""
        self._is_closing = True
        models: Iterable[ServedModel | None] = [one.model for one in self._instances.all()]
        for starting in list(self._starting):
            starting.close()
        for model in models:
            if model is not None:
                model.engine.close()

    def _publish(self) -> None:
        self._published.replace(self.translator())
