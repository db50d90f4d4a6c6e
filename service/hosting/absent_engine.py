"""What stands for a model's engine while there is none: its memory is given up before the next one is loaded.

Whoever asks is told to come again, as while an engine's process cannot be started. Knows the engine's door;
must not know why there is none.
"""

from __future__ import annotations

from service.engine.config import EngineSnapshot
from service.engine.errors import EngineUnavailable
from service.engine.handle import SegmentEvents
from service.engine.request import SegmentRequest


class AbsentEngine:
    """An `EngineHandle` that takes nothing. `retry_after_seconds`: when there may be a true one."""

    def __init__(self, retry_after_seconds: float, max_queue_tokens: int) -> None:
        self._retry_after_seconds, self._max_queue_tokens = retry_after_seconds, max_queue_tokens

    def submit(self, request: SegmentRequest) -> SegmentEvents:
        """Raises EngineUnavailable."""
        raise EngineUnavailable(self._retry_after_seconds)

    def cancel(self, segment_id: str) -> None:
        """There is nothing to end."""

    async def drain(self) -> None:
        """Nothing was accepted."""

    def close(self) -> None:
        """Nothing runs."""

    def snapshot(self) -> EngineSnapshot:
        """Empty, and not available."""
        return EngineSnapshot(
            queue_segments=0,
            queue_tokens=0,
            max_queue_tokens=self._max_queue_tokens,
            running_segments=0,
            running_rows=0,
            max_rows=1,
            cache_bytes_used=0,
            cache_bytes_limit=0,
            tokens_per_second=1e9,  # nobody is refused for its slowness
            backlog_seconds=0.0,
            heartbeat_seconds=0.0,
            draining=False,
            is_available=False,
        )
