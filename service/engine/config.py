"""The limits of one engine. Knows: numbers and their units. Must not know: where they were configured."""

from __future__ import annotations

from dataclasses import dataclass

PRIORITY_STEP_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """Raises `ValueError` at construction when a value is out of bounds."""

    max_rows: int = 96  # rows of the running batch; a segment takes as many as its beam is wide
    max_queue_tokens: int = 200_000  # source tokens that may wait
    cache_bytes_limit: int = 1 << 30  # keys and values of all running segments, each at its longest
    num_threads: int = 1  # of torch, inside the engine's thread
    max_encode_tokens: int = 4096  # source tokens that may join at one step, so that running rows go on
    priority_step_seconds: float = (
        PRIORITY_STEP_SECONDS  # one level of priority counts as so many seconds of waiting
    )

    def __post_init__(self) -> None:
        for name in ("max_rows", "max_queue_tokens", "cache_bytes_limit", "num_threads", "max_encode_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.priority_step_seconds < 0:
            raise ValueError(f"priority_step_seconds must be at least 0, got {self.priority_step_seconds}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSnapshot:
    """What the engine holds at one moment."""

    queue_segments: int
    queue_tokens: int  # source tokens
    max_queue_tokens: int
    running_segments: int
    running_rows: int
    max_rows: int
    cache_bytes_used: int  # reserved for the whole future of what runs
    cache_bytes_limit: int
    tokens_per_second: float  # source tokens, as measured while others waited
    backlog_seconds: float  # queued work over measured speed
    heartbeat_seconds: float  # since the loop last turned; 0 while there is nothing to do
    draining: bool
    is_available: bool = True  # false while its process cannot be started
    path: str = "eager"  # of the network that decodes what joins now (`Network.path`)
    process_id: int | None = (
        None  # of the process that decodes; None: it is the asker's own, or there is none
    )
