"""The one door to an engine. What backs it is a thread (thread_engine.py) or a process (process_engine.py).

Knows: segments and their events. Must not know: HTTP, text, how a step works, and does not import torch.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from service.engine.config import EngineSnapshot
from service.engine.request import Event, SegmentRequest


class SegmentEvents(Protocol):
    """An async iterator that ends after a `FinishedEvent` or `FailedEvent`. Closing it earlier cancels."""

    def __aiter__(self) -> AsyncIterator[Event]: ...

    async def __anext__(self) -> Event: ...

    async def aclose(self) -> None: ...


class EngineHandle(Protocol):
    """Whatever backs it: everything here may be called from the event loop and blocks it for no step."""

    def submit(self, request: SegmentRequest) -> SegmentEvents:
        """Accept a segment, or raise at once: `EngineOverloaded`, `EngineDraining`, `EngineUnavailable`,
        `SegmentTooLarge`; `ValueError` for an id that is in use and for token ids that the model does not
        know. A later round (`SegmentRequest.again`) is never overloaded."""

    def cancel(self, segment_id: str) -> None:
        """End a segment with `SegmentCancelled`; its rows are free at the next step. Idempotent."""

    async def drain(self) -> None:
        """Refuse new segments, and wait until all that were accepted have ended."""

    def close(self) -> None:
        """Stop after the step at hand. What has not ended fails with `EngineDraining`. Idempotent."""

    def snapshot(self) -> EngineSnapshot:
        """What the engine holds now."""
