"""The app factory: routes, middleware and error handlers, put together.

Tests call `create_app` with a translator over a fake engine; `verto serve` calls it before there is one.
Knows what the parts are; must not know what they do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from service import admin_routes, openapi, operations, routes
from service.context import ServiceContext, context_of
from service.errors import FieldFault, MethodNotAllowed, RouteNotFound, ServiceError
from service.head_requests import HeadAsGet
from service.intake import Intake
from service.lifecycle import Lifecycle
from service.metrics import Metrics
from service.middleware import RequestContext, is_quiet, route_of
from service.request_record import record_of
from service.settings import Settings
from service.shortcut import Shortcut, route_to
from service.tracing import Tracing
from service.web_page import add_web_page

if TYPE_CHECKING:  # importing it imports torch; the server listens before that
    from service.translator import Translator

VERSION = "1"
# Metrics and traces are Verto's own; the framework's would carry exceptions' messages, which may quote texts.
_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
_REFUSALS = frozenset({413, 429, 503})


def create_app(
    translator: Translator | None,
    settings: Settings,
    *,
    metrics: Metrics | None = None,
    lifecycle: Lifecycle | None = None,
    tracing: Tracing | None = None,
) -> FastAPI:
    """The app; without a translator it answers 503 until `lifecycle.ready` is called with one."""
    metrics = metrics or Metrics()
    lifecycle = lifecycle or Lifecycle(translator)
    metrics.watch_lifecycle(lifecycle)
    metrics.compute_threads.set(settings.num_threads)
    app = FastAPI(
        title="Verto",
        version=VERSION,
        description="Translation over HTTP. Faults are `application/problem+json` with a stable `code`.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,
    )
    intake = Intake(settings.max_body_bytes, settings.read_timeout_seconds, lifecycle)
    context = app.state.context = ServiceContext(settings, lifecycle, metrics, intake)
    app.include_router(routes.router)
    app.include_router(operations.router)
    if settings.admin_key:
        app.include_router(admin_routes.router)
    add_web_page(app)
    to_translate = route_to(routes.translate, routes.router)
    app.add_middleware(Shortcut, route=to_translate, context=context, refusal=_answer_service_error)
    app.add_middleware(HeadAsGet)
    app.add_middleware(RequestContext, lifecycle=lifecycle, metrics=metrics, tracing=tracing)
    app.add_exception_handler(ServiceError, _answer_service_error)
    app.add_exception_handler(HTTPException, _answer_http_exception)
    app.openapi = lambda: openapi.describe(app)  # type: ignore[method-assign]
    return app


async def _answer_service_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    if error.status in _REFUSALS and not is_quiet(route_of(request.scope)):  # a probe is no work refused
        context_of(request).metrics.refused(error.code)
    return error.response(record_of(request.scope).request_id)


async def _answer_http_exception(request: Request, error: Exception) -> Response:
    """The framework's own refusals, which are about the address and the method."""
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == 405:
        allowed = _with_head((error.headers or {}).get("Allow", "GET"))
        fault = FieldFault("method", f"one of {allowed}", request.method)
        refusal: ServiceError = MethodNotAllowed(
            f"{path} does not take {request.method}.", faults=[fault], headers={"Allow": allowed}
        )
    elif error.status_code == 404:
        refusal = RouteNotFound("There is nothing at this address; /docs lists what there is.")
    else:
        raise error
    return await _answer_service_error(request, refusal)


def _with_head(allowed: str) -> str:
    """The methods that an address takes: HEAD wherever GET, though the framework does not know it."""
    methods = {one.strip() for one in allowed.split(",")}
    return ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods))
