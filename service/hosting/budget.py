"""Whether there is room for one more model, in bytes, before anything of it is loaded.

    a limit was set    what all models need, the new one among them, must stay below it
    none was           what the machine (or container) has free, less what the models that are there may still
                       take for keys and values, must hold the new one

Knows needs, instances, free memory; must not know bundles' files or devices. On a GPU whose memory cannot be
asked from here only a limit that was set is kept; what does not fit fails in its own process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from service.engine.memory import available_memory
from service.errors import FieldFault, InsufficientMemory
from service.hosting.bundle_folders import FoundBundle, in_mb
from service.hosting.instances import Instance


class Budget:
    """`limit_bytes`: for all models together; 0: whatever there is."""

    def __init__(self, limit_bytes: int, available: Callable[[], int | None] = available_memory) -> None:
        self.limit_bytes, self._available = limit_bytes, available

    def check(self, bundle: FoundBundle, held: Sequence[Instance], given_up: Instance | None = None) -> None:
        """Raises InsufficientMemory in numbers. `given_up` is one of `held` that will be gone by then."""
        free = self.free_bytes([one for one in held if one is not given_up], given_up)
        if free is not None and bundle.need.total > free:
            raise self._refusal(bundle, max(0, free), given_up)

    def free_bytes(self, held: Sequence[Instance], given_up: Instance | None = None) -> int | None:
        """That one more model may take; None where nobody knows."""
        if self.limit_bytes:
            return self.limit_bytes - sum(one.need.total for one in held)
        available = self._available()
        if available is None or any(one.model and one.model.device != "cpu" for one in held):
            return None
        freed = 0 if given_up is None else given_up.need.total - _still_to_take(given_up)
        return available + freed - sum(map(_still_to_take, held))

    def _refusal(self, bundle: FoundBundle, free: int, given_up: Instance | None) -> InsufficientMemory:
        source = "of models_bytes_limit" if self.limit_bytes else "of this machine or container"
        way_out = "unload another model first" + (
            "" if given_up else ", or let a swap give up the old model before (swap: unload_first)"
        )
        detail = (
            f"{bundle.name} {bundle.version} needs {in_mb(bundle.need.total)} ({bundle.need}), and "
            f"{in_mb(free)} {source} are free; {way_out}, or lower cache_bytes_limit or max_rows."
        )
        bound = f"a bundle that needs at most {free} bytes"
        return InsufficientMemory(detail, faults=[FieldFault("folder", bound, bundle.need.total)])


def _still_to_take(instance: Instance) -> int:
    """Bytes that are promised and not taken: all of one that is being loaded, of others' caches the rest."""
    if instance.model is None:
        return instance.need.total
    return max(0, instance.need.cache - instance.cache_bytes_used)
