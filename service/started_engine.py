"""What starting an engine comes to, whichever backing it has. Knows: names. Must not know: how it starts."""

from dataclasses import dataclass
from typing import Protocol

from model.bundle_head import BundleHead
from service.engine import EngineHandle


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
