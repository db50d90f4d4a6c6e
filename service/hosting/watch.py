"""Serves what lies in the models' folder: looks at it every few seconds and has changes made.

    a bundle appears, or another manifest     loaded, or swapped, once it is whole and looks the same twice
    it is not whole, or its content is wrong  told once; tried again when any of its files changes
    its folder is gone, at two looks          unloaded, but for the last model that is served
    no bundle is left at all                  taken for a volume that is away: nothing changes

What an operator has loaded or unloaded stays as it is until its folder changes. Knows sightings and hosting;
must not know files. Used from the event loop only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Protocol

from service.errors import ChangeInProgress, Draining, LastModel, ServiceError
from service.hosting.aside import aside
from service.hosting.folder_look import Sighting, look

if TYPE_CHECKING:
    from service.hosting.bundle_folders import BundleFolders
    from service.hosting.change import Change, SwapMode
    from service.hosting.instances import Instances

logger = logging.getLogger(__name__)


class Changes(Protocol):
    """What is served, and how that is changed (`service.hosting.hosting.Hosting`)."""

    folders: BundleFolders
    instances: Instances

    async def load(self, folder: str, mode: SwapMode) -> Change: ...

    def unload(self, name: str) -> Change: ...


class Watch:
    """Every `seconds`; `mode` is what becomes of a model that is replaced. `waiting`: which folders are not
    served as they are, and why."""

    def __init__(self, hosting: Changes, seconds: float, mode: SwapMode) -> None:
        self._hosting, self.seconds, self._mode = hosting, seconds, mode
        self.waiting: dict[str, str] = {}
        self._dealt_with = {one.bundle.folder: one.bundle.digest for one in hosting.instances.serving()}
        self._last: Mapping[str, Sighting] = {}
        self._tried: dict[str, Hashable] = {}
        self._missed: set[str] = set()

    async def run(self) -> None:
        """For ever."""
        logger.info("watching the models' folder", extra={"seconds": self.seconds})
        while True:
            await asyncio.sleep(self.seconds)
            try:
                await self.turn()
            except OSError as error:
                logger.warning("the models' folder cannot be read", extra={"reason": error.strerror})
            except Exception:  # a defect: what is served stays, and the next look may go better
                logger.exception("a look at the models' folder failed")

    async def turn(self) -> None:
        """One look, and what follows from it. Raises OSError."""
        seen = await aside(lambda: look(self._hosting.folders))
        if not seen:
            self._tell(".", "no bundle is left in the models' folder; what is served stays")
            return
        self.waiting.pop(".", None)
        for folder, sighting in seen.items():
            await self._consider(folder, sighting)
        self._last = seen
        for instance in self._hosting.instances.serving():
            self._look_for(instance.name, instance.bundle.folder, seen)
        for folder in self.waiting.keys() - seen.keys():
            del self.waiting[folder]

    async def _consider(self, folder: str, sighting: Sighting) -> None:
        if sighting.fault is not None:
            self._tell(folder, sighting.fault)
        elif self._is_dealt_with(folder, sighting):
            self.waiting.pop(folder, None)
        elif folder in self._last and self._last[folder].fingerprint == sighting.fingerprint:
            await self._load(folder, sighting)

    def _is_dealt_with(self, folder: str, sighting: Sighting) -> bool:
        for instance in self._hosting.instances.serving():
            if (instance.bundle.folder, instance.bundle.digest) == (folder, sighting.digest):
                self._dealt_with[folder] = sighting.digest
        return self._dealt_with.get(folder) == sighting.digest

    async def _load(self, folder: str, sighting: Sighting) -> None:
        # What had no room, or an engine that did not start, may do better once other models have gone.
        attempt = (sighting.fingerprint, tuple(one.number for one in self._hosting.instances.serving()))
        if self._tried.get(folder) == attempt:
            return
        try:
            change = await self._hosting.load(folder, self._mode)
            await change.finished()
        except (ChangeInProgress, Draining):
            return
        except ServiceError as error:
            self._tried[folder] = attempt
            self._tell(folder, error.detail)
        else:
            self._dealt_with[folder] = change.instance.bundle.digest
            self.waiting.pop(folder, None)

    def _look_for(self, name: str, folder: str, seen: Mapping[str, Sighting]) -> None:
        """Whether the folder of a served model is still there."""
        if folder in seen:
            self._missed.discard(folder)
        elif folder not in self._missed:  # as in the moment between two renames
            self._missed.add(folder)
        else:
            self._unload(name, folder)

    def _unload(self, name: str, folder: str) -> None:
        try:
            self._hosting.unload(name)
        except LastModel:
            self._tell(folder, f"its folder is gone; {name} is served on, since it is the only model")
        except ChangeInProgress:
            return
        else:
            self._missed.discard(folder)
            self._dealt_with.pop(folder, None)

    def _tell(self, folder: str, reason: str) -> None:
        """Once, until it is another reason."""
        if self.waiting.get(folder) != reason:
            self.waiting[folder] = reason
            logger.warning("the models' folder waits", extra={"folder": folder, "reason": reason})
