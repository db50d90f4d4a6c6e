"""What an engine refuses or fails, as a client is told it."""

import pytest

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
from service.engine_faults import service_error

FAULTS: list[tuple[EngineError, int, str, float | None]] = [
    (EngineOverloaded(7.5), 429, "overloaded", 7.5),
    (EngineDraining(), 503, "draining", 5.0),
    (EngineUnavailable(2.5), 503, "engine_down", 2.5),
    (StreamBroken(), 503, "engine_down", 1.0),
    (DeadlineExceeded("queued"), 504, "deadline_passed", None),
    (SegmentTooLarge("beam_size", 1, 2), 422, "invalid_request", None),
    (StepFailed("it failed"), 500, "internal_error", None),
    (SegmentCancelled(), 500, "internal_error", None),
]


@pytest.mark.parametrize(("error", "status", "code", "retry_after"), FAULTS, ids=lambda one: repr(one))
def test_each_has_its_status_and_says_when_to_come_again(
    error: EngineError, status: int, code: str, retry_after: float | None
) -> None:
    told = service_error(error)
    assert (told.status, told.code, told.retry_after_seconds) == (status, code, retry_after)


def test_none_is_left_out() -> None:
    declared = {kind for kind in EngineError.__subclasses__() if kind.__module__ == EngineError.__module__}
    assert {type(error) for error, *_ in FAULTS} == declared
