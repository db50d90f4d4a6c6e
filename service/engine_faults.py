"""What the engine refuses or fails, as the caller of the API is told it.

The only place that knows both the engine's errors and those of the service.
"""

from service.demands import Unfit
from service.engine.errors import (
    DeadlineExceeded,
    EngineDraining,
    EngineError,
    EngineOverloaded,
    EngineUnavailable,
    SegmentTooLarge,
    StreamBroken,
)
from service.errors import (
    DRAINING_RETRY_SECONDS,
    DeadlinePassed,
    Draining,
    EngineDown,
    FieldFault,
    InternalError,
    InvalidRequest,
    Overloaded,
    PhrasesNotAvoided,
    ServiceError,
)
from service.segment_options import name_in_request
from service.verified_events import StillBanned


def service_error(error: EngineError) -> ServiceError:
    """The answer for an engine's error; anything unknown is our own fault and says no more than that."""
    if isinstance(error, EngineOverloaded):
        detail = "The queue is full; try again later."
        return Overloaded(detail, retry_after_seconds=error.retry_after_seconds)
    if isinstance(error, EngineDraining):
        detail = "The server is shutting down, or the model is being unloaded; try again."
        return Draining(detail, retry_after_seconds=DRAINING_RETRY_SECONDS)
    if isinstance(error, EngineUnavailable):
        detail = "The engine cannot be started at present; try again later."
        return EngineDown(detail, retry_after_seconds=error.retry_after_seconds)
    if isinstance(error, StreamBroken):
        detail = "The engine was restarted and this stream cannot be continued; try again."
        return EngineDown(detail, retry_after_seconds=1.0)
    if isinstance(error, DeadlineExceeded):
        return DeadlinePassed("The translation was not finished in time.")
    if isinstance(error, SegmentTooLarge):
        fault = FieldFault(error.field, f"at most {error.bound} on this server", error.value)
        return InvalidRequest("A segment is too large for this server.", faults=[fault])
    if isinstance(error, Unfit):
        fault = FieldFault(name_in_request(error.field), error.bound, error.value)
        return InvalidRequest(f"{fault.field} must be {fault.bound}.", faults=[fault])
    if isinstance(error, StillBanned):
        return PhrasesNotAvoided("The model found no translation without the banned phrases.")
    return InternalError("The translation failed; it can be tried again.")
