"""The engine: segments in, events out, one shared batch. Knows no HTTP and no text."""

from service.engine.coalescing import CoalescingEngine
from service.engine.config import EngineConfig, EngineSnapshot
from service.engine.errors import (
    DeadlineExceeded,
    EngineDraining,
    EngineError,
    EngineOverloaded,
    EngineUnavailable,
    SegmentCancelled,
    SegmentTooLarge,
    StepFailed,
    StreamBroken,
)
from service.engine.handle import EngineHandle, SegmentEvents
from service.engine.observer import EngineObserver
from service.engine.request import (
    DraftEvent,
    Event,
    FailedEvent,
    FinishedEvent,
    SegmentRequest,
    SegmentTimings,
    TokensEvent,
)

__all__ = [
    "CoalescingEngine",
    "DeadlineExceeded",
    "DraftEvent",
    "EngineConfig",
    "EngineDraining",
    "EngineError",
    "EngineHandle",
    "EngineObserver",
    "EngineOverloaded",
    "EngineSnapshot",
    "EngineUnavailable",
    "Event",
    "FailedEvent",
    "FinishedEvent",
    "SegmentCancelled",
    "SegmentEvents",
    "SegmentRequest",
    "SegmentTimings",
    "SegmentTooLarge",
    "StepFailed",
    "StreamBroken",
    "TokensEvent",
]
