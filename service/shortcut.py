"""The shortest way to the one address that nearly all requests are for, past the framework's router.

Finding a route, solving what its endpoint depends on and layers for errors that it does not raise take a
third of such a request's time outside the engine. Everything else, other methods of the same address
included, goes on to the framework, which also describes the route. Knows ASGI and the endpoint; must not know
what that does.
"""

from collections.abc import Awaitable, Callable

from fastapi.routing import APIRoute, APIRouter
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.context import ServiceContext
from service.errors import ServiceError

Refusal = Callable[[Request, Exception], Awaitable[Response]]


def route_to(endpoint: Callable[..., object], router: APIRouter) -> APIRoute:
    """The router's own route to this endpoint."""
    return next(one for one in router.routes if isinstance(one, APIRoute) and one.endpoint is endpoint)


class Shortcut:
    """To `route`, whose endpoint takes the request and the context; `refusal` answers a ServiceError."""

    def __init__(self, app: ASGIApp, route: APIRoute, context: ServiceContext, refusal: Refusal) -> None:
        self._app = app
        self._route, self._context, self._refusal = route, context, refusal
        self._methods = frozenset(route.methods or ())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._is_meant(scope):
            await self._app(scope, receive, send)
            return
        scope["route"] = self._route  # as the router does, for whoever counts
        request = Request(scope, receive, send)
        try:
            response: Response = await self._route.endpoint(request, self._context)
        except ServiceError as error:
            response = await self._refusal(request, error)
        await response(scope, receive, send)

    def _is_meant(self, scope: Scope) -> bool:
        is_http = scope["type"] == "http"
        return is_http and scope["path"] == self._route.path and scope["method"] in self._methods
