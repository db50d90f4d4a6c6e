"""A segment's events as its reader wants them: a failure or a passed deadline is raised.

Knows the engine's door and its events; must not know text or HTTP.
"""

import asyncio
from collections.abc import AsyncGenerator

from service.engine.handle import SegmentEvents
from service.engine.request import DraftEvent, FailedEvent, FinishedEvent, TokensEvent
from service.engine_faults import service_error
from service.errors import DeadlinePassed

# The engine ends a segment at its deadline itself; this covers an engine that does not answer any more.
DEADLINE_GRACE_SECONDS = 0.25


async def until_finished(
    events: SegmentEvents, deadline: float
) -> AsyncGenerator[TokensEvent | DraftEvent | FinishedEvent]:
    """Events up to and with the `FinishedEvent`; `deadline` is on the event loop's clock.

    Raises ServiceError.
    """
    while True:
        event = await _next(events, deadline)
        yield event
        if isinstance(event, FinishedEvent):
            return


async def finished(events: SegmentEvents, deadline: float) -> FinishedEvent:
    """The last of them alone, for who shows nothing before. Raises ServiceError."""
    while True:
        event = await _next(events, deadline)
        if isinstance(event, FinishedEvent):
            return event


async def _next(events: SegmentEvents, deadline: float) -> TokensEvent | DraftEvent | FinishedEvent:
    try:
        async with asyncio.timeout_at(deadline + DEADLINE_GRACE_SECONDS):
            event = await anext(events)
    except TimeoutError:
        raise DeadlinePassed("The translation was not finished in time.") from None
    if isinstance(event, FailedEvent):
        raise service_error(event.error) from event.error
    return event
