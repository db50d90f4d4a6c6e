"""Why the engine did not translate a segment. Knows: reasons. Must not know: HTTP statuses, text.

EngineError
├── EngineOverloaded    the waiting queue is full; comes with a time to try again     (refused at submit)
├── EngineDraining      the engine finishes what it accepted, or has closed           (refused at submit)
├── EngineUnavailable   its process cannot be started at present         (refused at submit, ends its events)
├── SegmentTooLarge     it could never run under the limits, even alone               (refused at submit)
├── DeadlineExceeded    its deadline passed while it waited or ran                    (ends its events)
├── SegmentCancelled    somebody cancelled it                                         (ends its events)
├── StreamBroken        decoded again, it did not begin with what was sent already    (ends its events)
└── StepFailed          the step that it was part of went wrong; others go on         (ends its events)
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

# How PyTorch, which has no type of its own for it on a processor, and CUDA say that memory ran out.
_NO_MEMORY = ("out of memory", "not enough memory", "allocate memory")


def is_about_memory(error: Exception) -> bool:
    """Whether it says that memory ran out, and not something else of memory, as of an address in it."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in _NO_MEMORY)


class EngineError(Exception):
    """A segment ended without a translation. `reason` is a stable word for metrics and logs."""

    reason: ClassVar[str] = "engine"

    def __reduce__(self) -> tuple[Any, ...]:
        # What is made of other things than its message could not be made anew of its message.
        return (type(self)._again, (self.args, vars(self)))

    @classmethod
    def _again(cls, arguments: tuple[Any, ...], fields: dict[str, Any]) -> Self:
        error = cls.__new__(cls, *arguments)
        vars(error).update(fields)
        return error


class EngineOverloaded(EngineError):
    """The queue has no room. After about `retry_after_seconds` what waits now will have been served."""

    reason = "overloaded"

    def __init__(self, retry_after_seconds: float) -> None:
        super().__init__(f"the queue is full; try again in {retry_after_seconds:.1f} s")
        self.retry_after_seconds = retry_after_seconds


class EngineDraining(EngineError):
    """No new segments: the engine is draining or closed."""

    reason = "draining"

    def __init__(self) -> None:
        super().__init__("the engine is shutting down")


class EngineUnavailable(EngineError):
    """The engine's process has died and cannot be started again so far; another attempt will be made."""

    reason = "unavailable"

    def __init__(self, retry_after_seconds: float) -> None:
        super().__init__(f"the engine cannot be started; try again in {retry_after_seconds:.1f} s")
        self.retry_after_seconds = retry_after_seconds


class SegmentTooLarge(EngineError):
    """`field` of the request has the `value`, which may be at most `bound` here."""

    reason = "too_large"

    def __init__(self, field: str, bound: int, value: int) -> None:
        super().__init__(f"{field} must be at most {bound}, got {value}")
        self.field, self.bound, self.value = field, bound, value


class DeadlineExceeded(EngineError):
    """The deadline passed; `stage` says whether the segment was still "queued" or "running", or "in flight"
    where that is not known."""

    reason = "deadline"

    def __init__(self, stage: str) -> None:
        super().__init__(f"the deadline passed while the segment was {stage}")
        self.stage = stage


class SegmentCancelled(EngineError):
    """The segment was cancelled through `EngineHandle.cancel`."""

    reason = "cancelled"

    def __init__(self) -> None:
        super().__init__("the segment was cancelled")


class StreamBroken(EngineError):
    """The engine was restarted, and decoding anew did not begin with the tokens that were sent already."""

    reason = "restarted"

    def __init__(self) -> None:
        super().__init__("after a restart of the engine the stream cannot be continued")


class StepFailed(EngineError):
    """A step on the device failed; its cause is chained, where there is one."""

    reason = "step"
