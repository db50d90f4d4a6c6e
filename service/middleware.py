"""What happens to every HTTP request: an id, a count, a last resort for faults, a log line, a metric.

Plain ASGI, so that streams pass through unbuffered. Knows requests by their route, status and time; never
reads a body, and must not know what a route does.
"""

import logging
import re
import uuid
from typing import cast

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import InternalError
from service.lifecycle import Lifecycle
from service.log import request_id_of_context
from service.metrics import Metrics, Stopwatch
from service.request_record import SCOPE_KEY, RequestRecord
from service.streaming import CLIENT_GONE
from service.tracing import RequestTrace, Tracing

logger = logging.getLogger("service.access")

HEADER = "X-Request-ID"
UNMATCHED = "unmatched"
# Long enough for a UUID or a trace id, and nothing that could forge a log line.
_SANE_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
# Of RFC 9110, and PATCH: what else a client writes there is its own text.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
_QUIET_ROUTES = ("/health", "/metrics")


def route_of(scope: Scope) -> str:
    """The declared route that the request matched: a label, since a client cannot make up new ones."""
    return cast(str, getattr(scope.get("route"), "path", UNMATCHED))


def method_of(scope: Scope) -> str:
    """The request's method, where it is one."""
    return cast(str, scope["method"]) if scope["method"] in _METHODS else "other"


def is_quiet(route: str) -> bool:
    """Whether machines ask for it every few seconds, so that it would fill log and counts with nothing."""
    return route.startswith(_QUIET_ROUTES)


class RequestContext:
    """The outermost layer but for the framework's own."""

    def __init__(
        self, app: ASGIApp, lifecycle: Lifecycle, metrics: Metrics, tracing: Tracing | None = None
    ) -> None:
        self._app = app
        self._lifecycle = lifecycle
        self._metrics = metrics
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        record = RequestRecord(_request_id(headers.get(HEADER)))
        scope[SCOPE_KEY] = record
        token = request_id_of_context.set(record.request_id)
        trace = None if self._tracing is None else self._begin_trace(self._tracing, scope, headers)
        stopwatch = Stopwatch()
        try:
            with self._lifecycle.request() as record.visit:
                await self._answer(scope, receive, _Sender(send, record, self._lifecycle))
        finally:
            self._report(scope, record, stopwatch.seconds())
            if self._tracing is not None and trace is not None:
                self._tracing.end(trace, method_of(scope), route_of(scope), record)
            request_id_of_context.reset(token)

    @staticmethod
    def _begin_trace(tracing: Tracing, scope: Scope, headers: Headers) -> RequestTrace | None:
        return None if is_quiet(scope["path"]) else tracing.begin(method_of(scope), headers)

    async def _answer(self, scope: Scope, receive: Receive, sender: "_Sender") -> None:
        record = sender.record
        try:
            await self._app(scope, receive, sender)
        except ClientDisconnect:
            record.code = CLIENT_GONE
        except Exception:
            logger.exception("request failed")
            record.code = InternalError.status
            # Once the status is out, all that is left is to end the connection, which the server does.
            if record.status is None:
                error = InternalError("Something went wrong here; the request id names it in the log.")
                await error.response(record.request_id)(scope, receive, sender)

    def _report(self, scope: Scope, record: RequestRecord, seconds: float) -> None:
        route = route_of(scope)
        self._metrics.answered(route, record.pair, record.outcome, seconds)
        level = logging.DEBUG if is_quiet(route) else logging.INFO
        extra = {
            "method": method_of(scope),
            "route": route,
            "status": record.outcome,
            "duration_ms": round(seconds * 1000, 1),
        }
        known = {"pair": record.pair, "model": record.model}
        logger.log(level, "request", extra=extra | {name: value for name, value in known.items() if value})


class _Sender:
    """Adds the request's id to the answer's head, and remembers its status."""

    def __init__(self, send: Send, record: RequestRecord, lifecycle: Lifecycle) -> None:
        self._send = send
        self._lifecycle = lifecycle
        self.record = record

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.record.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers[HEADER] = self.record.request_id
            if self._lifecycle.is_going:  # the next request of this client belongs to another server
                headers["Connection"] = "close"
        await self._send(message)


def _request_id(given: str | None) -> str:
    """The client's own id where it is a sane one, else a new one."""
    return given if given and _SANE_ID.fullmatch(given) else uuid.uuid4().hex
