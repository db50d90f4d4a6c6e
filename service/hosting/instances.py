"""What becomes of each bundle that was to be served: which state it is in, since when, and why.

    loading ──> warming ──> serving ──> draining ──> (gone)
       └───────────┴──> failed (kept until the next change of the name, so that somebody reads the reason)

Two may have one name: one serves while the other is loaded, or is drained. Knows names and states; must not
know how a state is brought about. Used from the event loop only.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from service.hosting.bundle_folders import FoundBundle, MemoryNeed
from service.registry import ServedModel

State = Literal["loading", "warming", "serving", "draining", "failed"]


@dataclass(slots=True, eq=False)
class Instance:
    """One bundle on its way. `since` in seconds since 1970; `model` is there from state warming on."""

    number: int
    bundle: FoundBundle
    state: State = "loading"
    since: float = field(default_factory=time.time)
    reason: str | None = None
    model: ServedModel | None = None

    def enter(self, state: State, reason: str | None = None) -> None:
        """From now on it is in this state."""
        self.state, self.reason, self.since = state, reason, time.time()

    @property
    def name(self) -> str:
        return self.bundle.name

    @property
    def path(self) -> Path:
        return self.bundle.path

    @property
    def need(self) -> MemoryNeed:
        return self.bundle.need

    @property
    def cache_bytes_used(self) -> int:
        """For keys and values, at the moment."""
        return 0 if self.model is None else self.model.engine.snapshot().cache_bytes_used


class Instances:
    """All of them, in the order in which they came."""

    def __init__(self) -> None:
        self._all: list[Instance] = []
        self._numbers = itertools.count(1)

    def add(self, bundle: FoundBundle) -> Instance:
        """A new one that is being loaded; what has failed under its name is forgotten."""
        self.forget_failed(bundle.name)
        instance = Instance(next(self._numbers), bundle)
        self._all.append(instance)
        return instance

    def remove(self, instance: Instance) -> None:
        """It is gone."""
        self._all.remove(instance)

    def forget_failed(self, name: str) -> None:
        self._all = [one for one in self._all if not (one.name == name and one.state == "failed")]

    def all(self) -> list[Instance]:
        """By name, then by age."""
        return sorted(self._all, key=lambda one: (one.name, one.number))

    def of(self, name: str) -> list[Instance]:
        """All of this name, the oldest first."""
        return [one for one in self.all() if one.name == name]

    def serving(self) -> list[Instance]:
        return [one for one in self.all() if one.state == "serving"]

    def serving_of(self, name: str) -> Instance | None:
        """The one that requests for this name go to; there is never more than one."""
        return next((one for one in self.serving() if one.name == name), None)

    def in_memory(self) -> list[Instance]:
        """Those that take memory, or are about to."""
        return [one for one in self.all() if one.state != "failed"]
