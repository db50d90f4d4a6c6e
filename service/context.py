"""What a route needs besides its request: settings, where the server is in its life, metrics, bodies' way in.

Made once per app and reached through `request.app.state`; holds nothing of a request.
"""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends
from starlette.requests import Request

from service.intake import Intake
from service.lifecycle import Lifecycle
from service.metrics import Metrics
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class ServiceContext:
    """One per app."""

    settings: Settings
    lifecycle: Lifecycle
    metrics: Metrics
    intake: Intake


def context_of(request: Request) -> ServiceContext:
    """The context of the app that serves this request."""
    return cast(ServiceContext, request.app.state.context)


async def _injected(request: Request) -> ServiceContext:
    """Not a plain function: FastAPI would hand each request to a thread and back for it."""
    return context_of(request)


Context = Annotated[ServiceContext, Depends(_injected)]
