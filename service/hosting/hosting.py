"""Models come and go while requests run: one is loaded, takes the place of another, is unloaded.

    load, swap    find -> is there room? -> bring up -> show -> the old one retires
                            a failure on the way: the old one serves on, as if nothing had been asked
    unload_first  verify -> find -> is there room without the old one? -> show absence -> retire the old one
                            -> bring up -> show; a failure: the old one is brought up again, if it still can
    unload        hide -> retire

One change at a time for each name; of different names as many as there is room for. Knows what may be asked
for and in which order things happen; must not know HTTP, nor how an engine starts. Used from the event loop
only, `close` excepted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from model.manifest import BundleError
from service.engine.errors import EngineError
from service.engine_faults import service_error
from service.errors import (
    CHANGE_RETRY_SECONDS,
    BundleInvalid,
    ChangeInProgress,
    FieldFault,
    InsufficientMemory,
    LastModel,
    LoadFailed,
    ModelNotLoaded,
    ModelServed,
    ServiceError,
)
from service.hosting.aside import aside
from service.hosting.budget import Budget
from service.hosting.bundle_folders import BundleFolders, FoundBundle
from service.hosting.change import Change, Kind, Outcome, SwapMode
from service.hosting.instances import Instance, Instances
from service.hosting.stage import Stage
from service.hosting.watch import Watch
from service.translator import Translator

logger = logging.getLogger(__name__)


class ChangeObserver(Protocol):
    """What metrics hear of changes."""

    def model_changed(self, model: str, change: Kind, outcome: Outcome) -> None: ...


class Hosting:
    """Begins with the models that `stage` shows."""

    def __init__(
        self,
        folders: BundleFolders,
        instances: Instances,
        stage: Stage,
        budget: Budget,
        observer: ChangeObserver,
    ) -> None:
        self.folders, self.instances, self.budget = folders, instances, budget
        self._stage, self._observer = stage, observer
        self.watch: Watch | None = None
        self._changing: dict[str, Change] = {}  # by the model's name
        self._tasks: set[asyncio.Task[None]] = set()
        self._watching: asyncio.Task[None] | None = None

    def translator(self) -> Translator:
        """Of what is served now."""
        return self._stage.translator()

    def watch_folder(self, seconds: float, mode: SwapMode) -> None:
        """From `begin` on the models' folder is looked at so often, and what changes there is served."""
        self.watch = Watch(self, seconds, mode)

    def begin(self) -> None:
        """The server is ready."""
        if self.watch is not None:
            self._watching = self._keep(self.watch.run())

    async def folder_names(self) -> list[str]:
        """Of the bundles that lie in the models' folder; none while it cannot be read."""
        try:
            return await aside(self.folders.names)
        except OSError as error:
            logger.warning("the models' folder cannot be read", extra={"reason": error.strerror})
            return []

    async def load(self, folder: str, mode: SwapMode = "none") -> Change:
        """Begin to serve the bundle in this folder. Raises ServiceError for what is refused at once."""
        bundle = await self._found(folder, lambda: self.folders.find(folder))
        return self._begin_load(bundle, mode)

    async def reload(self, name: str, mode: SwapMode = "beside") -> Change:
        """Read the folder of a served model again. Raises ServiceError for what is refused at once."""
        served = self._served(name)
        bundle = await self._found(name, lambda: self.folders.describe(served.path))
        if bundle.name != name:
            detail = f"{bundle.folder}: its bundle is called {bundle.name!r} now; load the folder instead."
            raise BundleInvalid(detail)
        return self._begin_load(bundle, mode)

    def unload(self, name: str) -> Change:
        """Begin to take a model away. Raises ModelNotLoaded, ChangeInProgress, LastModel."""
        self._check_unchanging(name)
        instance = self._served(name)
        if self._stage.shows_only(name):
            raise LastModel(f"{name} is the only model; load another one before this one is unloaded.")
        change = Change("unload", instance)
        self._stage.hide(name)
        self._run(change, self._stage.retire(instance))
        return change

    def forget(self, name: str) -> bool:
        """No longer tell of a load that failed. Whether there was one, and nothing else of this name."""
        there = self.instances.of(name)
        if not there or any(one.state != "failed" for one in there):
            return False
        self.instances.forget_failed(name)
        return True

    def begin_closing(self) -> None:
        """No change is begun any more, and what is being loaded is given up."""
        if self._watching is not None:
            self._watching.cancel()
        self._stage.begin_closing()

    def close(self) -> None:
        """Stop all engines at once. From any thread; blocks."""
        self._stage.close()

    # What is checked before anything happens.

    async def _found(self, label: str, find: Callable[[], FoundBundle]) -> FoundBundle:
        try:
            return await aside(find)
        except BundleError as error:
            self._observer.model_changed(label, "load", "failed")
            raise BundleInvalid(self.folders.told(error)) from error

    def _begin_load(self, bundle: FoundBundle, mode: SwapMode) -> Change:
        self._check_unchanging(bundle.name)
        old = self.instances.serving_of(bundle.name)
        if old is not None and mode == "none":
            detail = f"{bundle.name} {old.bundle.version} is served; say in `swap` how it is to be replaced."
            fault = FieldFault("swap", "beside or unload_first, where a model of this name is served", mode)
            raise ModelServed(detail, faults=[fault])
        kind: Kind = "load" if old is None else "swap"
        self._check_room(bundle, kind, old if mode == "unload_first" else None)
        change = Change(kind, self.instances.add(bundle), old, mode)
        self._run(change, self._load(change))
        return change

    def _check_room(self, bundle: FoundBundle, kind: Kind, given_up: Instance | None) -> None:
        try:
            self.budget.check(bundle, self.instances.in_memory(), given_up)
        except InsufficientMemory as error:
            logger.warning("no room for a model", extra={"model": bundle.name, "reason": error.detail})
            self._observer.model_changed(bundle.name, kind, "refused")
            raise

    def _check_unchanging(self, name: str) -> None:
        if (change := self._changing.get(name)) is not None:
            detail = f"{name} is being changed already ({change.kind}, {change.instance.state})."
            raise ChangeInProgress(detail, retry_after_seconds=CHANGE_RETRY_SECONDS)

    def _served(self, name: str) -> Instance:
        served = self.instances.serving_of(name)
        if served is None:
            names = ", ".join(one.name for one in self.instances.serving())
            raise ModelNotLoaded(
                "No model of this name is served.", faults=[FieldFault("name", f"one of {names}", name)]
            )
        return served

    # What happens then, in a task of its own.

    def _run(self, change: Change, work: Awaitable[None]) -> None:
        """`work` does not raise what the change is to be told of."""
        name = change.instance.name
        self._changing[name] = change
        logger.info("model change begun", extra=_told(change))

        async def run() -> None:
            try:
                await work
            except Exception as error:
                self._failed(change, error)
            else:
                self._done(change)
            finally:
                del self._changing[name]

        change.task = self._keep(run())

    def _keep(self, work: Awaitable[None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)  # the event loop alone would not keep it from being collected
        task.add_done_callback(self._tasks.discard)
        return task

    async def _load(self, change: Change) -> None:
        if change.old is not None and change.mode == "unload_first":
            await self._load_in_the_place_of(change, change.old)
            return
        await self._stage.bring_up(change.instance)
        self._stage.show(change.instance)
        if change.old is not None:
            self._keep(self._stage.retire(change.old))

    async def _load_in_the_place_of(self, change: Change, old: Instance) -> None:
        # Once the old one is gone there may be no way back, so what can be known is found out before.
        await aside(lambda: self.folders.verify(change.instance.path))
        self._stage.show_absence(old)
        await self._stage.retire(old)
        try:
            await self._stage.bring_up(change.instance)
        except Exception:
            await self._bring_back(old)
            raise
        self._stage.show(change.instance)

    async def _bring_back(self, old: Instance) -> None:
        """The model that was given up, from its folder, if that still holds it."""
        again = self.instances.add(old.bundle)
        try:
            bundle = await aside(lambda: self.folders.describe(old.path))
            if bundle.digest != old.bundle.digest:
                raise BundleError(old.path, "holds another bundle than before")
            await self._stage.bring_up(again)
        except Exception as error:
            again.enter("failed", _service_error(error, self.folders).detail)
            extra = {"model": old.name, "reason": again.reason}
            logger.error("the old model cannot be brought back", extra=extra)
            # Where it was the only one, requests go on being told to come again: somebody has to see to it.
            if not self._stage.shows_only(old.name):
                self._stage.hide(old.name)
        else:
            self._stage.show(again)

    def _done(self, change: Change) -> None:
        self._observer.model_changed(change.instance.name, change.kind, "done")
        logger.info("model change done", extra=_told(change))

    def _failed(self, change: Change, error: Exception) -> None:
        change.error = _service_error(error, self.folders)
        change.instance.enter("failed", change.error.detail)
        self._observer.model_changed(change.instance.name, change.kind, "failed")
        extra = {**_told(change), "reason": change.error.detail}
        logger.error("model change failed", extra=extra, exc_info=isinstance(change.error, LoadFailed))


def _service_error(error: Exception, folders: BundleFolders) -> ServiceError:
    """What whoever asked for a change is told of its failure."""
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, BundleError):
        return BundleInvalid(folders.told(error))
    if isinstance(error, EngineError):
        return service_error(error)
    return LoadFailed(str(error) or type(error).__name__)


def _told(change: Change) -> dict[str, str | float]:
    """For the log."""
    bundle = change.instance.bundle
    told: dict[str, str | float] = {
        "model": bundle.name,
        "version": bundle.version,
        "folder": bundle.folder,
        "change": change.kind,
    }
    if change.old is not None:
        told["old_version"] = change.old.bundle.version
    if change.task is not None:
        told["seconds"] = round(asyncio.get_running_loop().time() - change.started, 2)
    return told
