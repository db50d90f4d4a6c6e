"""One change of what is served: what is to come about, and how it ended.

Knows instances and errors; must not know how a change is made.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Literal

from service.errors import ServiceError
from service.hosting.instances import Instance

Kind = Literal["load", "swap", "unload"]
Outcome = Literal["done", "failed", "refused"]
# What becomes of a model that is served under the name of one that is to be loaded: it stands in the way; it
# serves until the new one does; or it goes first, where there is no room for both.
SwapMode = Literal["none", "beside", "unload_first"]


@dataclass(slots=True, eq=False)
class Change:
    """`instance` is what comes, in an unload what goes; `old` is what it takes the place of. `started` in
    seconds of the event loop's clock."""

    kind: Kind
    instance: Instance
    old: Instance | None = None
    mode: SwapMode = "none"
    error: ServiceError | None = None
    task: asyncio.Task[None] | None = None
    started: float = field(default_factory=lambda: asyncio.get_running_loop().time())

    async def finished(self) -> None:
        """Wait for its end; whoever waits may go away without ending it. Raises ServiceError if it failed."""
        assert self.task is not None
        await asyncio.shield(self.task)
        if self.error is not None:
            raise self.error
