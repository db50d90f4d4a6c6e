"""All that can go wrong with a request: one hierarchy, rendered as an HTTP status and as a stream event.

    ServiceError                      status  code
    ├── MalformedBody                 400     malformed_body          not JSON, not UTF-8, no body, too deep
    ├── Unauthorized                  401     unauthorized            the admin key is missing or wrong
    ├── RouteNotFound                 404     not_found
    ├── ModelNotLoaded                404     model_not_loaded        an address names a model that is not
    ├── MethodNotAllowed              405     method_not_allowed
    ├── RequestTimeout                408     request_timeout         its client stopped in the midst of it
    ├── ChangeInProgress              409     change_in_progress      the model is being changed; Retry-After
    ├── ModelServed                   409     model_served            a model of that name is served already
    ├── LastModel                     409     last_model              without it nothing would be served
    ├── RequestTooLarge               413     request_too_large       body, characters or number of texts
    ├── UnsupportedMediaType          415     unsupported_media_type
    ├── InvalidRequest                422     invalid_request         unknown field, wrong type, out of bounds
    │   ├── OptionNotSupported        422     option_not_supported    known, not built in this version
    │   ├── ModelNotFound             422     model_not_found
    │   ├── LanguageNotAvailable      422     language_not_available  unknown language, or pair not served
    │   ├── SegmentTooLong            422     segment_too_long        more tokens than the model reads
    │   ├── PhrasesNotAvoided         422     phrases_not_avoided     the model finds no way around `banned`
    │   └── BundleInvalid             422     bundle_invalid          a bundle that was to be loaded is broken
    ├── Overloaded                    429     overloaded              the queue is full; Retry-After
    ├── InternalError                 500     internal_error          our fault; only the log says more
    ├── LoadFailed                    500     load_failed             an engine did not start, or not work
    ├── Loading                       503     loading                 models are still read; Retry-After
    ├── Draining                      503     draining                shutting down; Retry-After
    ├── EngineDown                    503     engine_down             its process died; Retry-After
    ├── DeadlinePassed                504     deadline_passed
    └── InsufficientMemory            507     insufficient_memory     a model to be loaded has no room

The problem object is that of RFC 9457, with a stable `code`, the request's id, and for a fault of the request
`errors`: which field, what it must be, and what came (shortened). Knows HTTP; must not know the engine or a
model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from starlette.responses import JSONResponse

PROBLEM_MEDIA_TYPE = "application/problem+json"
MAX_VALUE_CHARACTERS = 80
# When to try again, where nothing tells it better.
LOADING_RETRY_SECONDS = 2.0
CHANGE_RETRY_SECONDS = 2.0
DRAINING_RETRY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class FieldFault:
    """Which field of the request is wrong, what it must be, and what came."""

    field: str
    bound: str
    value: object

    def to_dict(self) -> dict[str, Any]:
        """As the problem object shows it: the value shortened and free of what JSON or UTF-8 cannot carry."""
        return {"field": encodable(self.field), "bound": encodable(self.bound), "value": shorten(self.value)}


class ServiceError(Exception):
    """A request that is not answered as asked. `detail` is one sentence for people."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Internal error"

    def __init__(
        self,
        detail: str,
        *,
        faults: Sequence[FieldFault] = (),
        retry_after_seconds: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.faults = tuple(faults)
        self.retry_after_seconds = retry_after_seconds
        self.extra_headers = dict(headers or {})

    def problem(self, request_id: str) -> dict[str, Any]:
        """The problem object, for an answer's body and for a stream's `error` event alike."""
        problem: dict[str, Any] = {
            "type": f"urn:verto:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": encodable(self.detail),
            "code": self.code,
            "request_id": request_id,
        }
        if self.faults:
            problem["errors"] = [fault.to_dict() for fault in self.faults]
        if self.retry_after_seconds is not None:
            problem["retry_after_seconds"] = self._whole_seconds()
        return problem

    def response(self, request_id: str) -> JSONResponse:
        """The answer for a request that has not been answered yet."""
        headers = dict(self.extra_headers)
        if self.retry_after_seconds is not None:
            headers["Retry-After"] = str(self._whole_seconds())
        return JSONResponse(
            self.problem(request_id), self.status, headers=headers, media_type=PROBLEM_MEDIA_TYPE
        )

    def _whole_seconds(self) -> int:
        """Retry-After is a whole number of seconds (RFC 9110); 0 would invite a retry at once."""
        return max(1, -int(-(self.retry_after_seconds or 0.0) // 1))


class MalformedBody(ServiceError):
    status, code, title = 400, "malformed_body", "The request body cannot be read"


class Unauthorized(ServiceError):
    status, code, title = 401, "unauthorized", "A key is needed here"


class ModelNotLoaded(ServiceError):
    status, code, title = 404, "model_not_loaded", "No such model is loaded"


class RequestTimeout(ServiceError):
    status, code, title = 408, "request_timeout", "The request was not sent to its end"


class ChangeInProgress(ServiceError):
    status, code, title = 409, "change_in_progress", "The model is being changed already"


class ModelServed(ServiceError):
    status, code, title = 409, "model_served", "A model of this name is served already"


class LastModel(ServiceError):
    status, code, title = 409, "last_model", "Without this model nothing would be served"


class RouteNotFound(ServiceError):
    status, code, title = 404, "not_found", "No such address"


class MethodNotAllowed(ServiceError):
    status, code, title = 405, "method_not_allowed", "Method not allowed here"


class RequestTooLarge(ServiceError):
    status, code, title = 413, "request_too_large", "The request is too large"


class UnsupportedMediaType(ServiceError):
    status, code, title = 415, "unsupported_media_type", "Unsupported media type"


class InvalidRequest(ServiceError):
    status, code, title = 422, "invalid_request", "The request is not valid"


class OptionNotSupported(InvalidRequest):
    code, title = "option_not_supported", "This version does not support the option"


class ModelNotFound(InvalidRequest):
    code, title = "model_not_found", "No such model"


class LanguageNotAvailable(InvalidRequest):
    code, title = "language_not_available", "The language or language pair is not available"


class SegmentTooLong(InvalidRequest):
    code, title = "segment_too_long", "The text is longer than the model reads"


class PhrasesNotAvoided(InvalidRequest):
    code, title = "phrases_not_avoided", "The banned phrases could not be avoided"


class BundleInvalid(InvalidRequest):
    code, title = "bundle_invalid", "The bundle cannot be loaded"


class Overloaded(ServiceError):
    status, code, title = 429, "overloaded", "Too much work is waiting"


class InternalError(ServiceError):
    status, code, title = 500, "internal_error", "Internal error"


class LoadFailed(ServiceError):
    status, code, title = 500, "load_failed", "The model could not be started"


class Loading(ServiceError):
    status, code, title = 503, "loading", "Models are being loaded"


class Draining(ServiceError):
    status, code, title = 503, "draining", "The server is shutting down"


class EngineDown(ServiceError):
    status, code, title = 503, "engine_down", "The engine is not available"


class DeadlinePassed(ServiceError):
    status, code, title = 504, "deadline_passed", "The deadline has passed"


class InsufficientMemory(ServiceError):
    """Not 503, which clients and proxies try again by themselves: nothing changes until somebody acts."""

    status, code, title = 507, "insufficient_memory", "There is no room in memory for the model"


def encodable(text: str) -> str:
    """The text with lone surrogates written out as escapes, so that the answer can be encoded."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def shorten(value: object) -> object:
    """What came, small and plain enough to send back: numbers and truth values as they are, else text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) < 2**53:
        return value
    if isinstance(value, float) and -1e308 < value < 1e308:
        return value
    text = encodable(value) if isinstance(value, str) else _described(value)
    return text if len(text) <= MAX_VALUE_CHARACTERS else text[: MAX_VALUE_CHARACTERS - 1] + "…"


def _described(value: object) -> str:
    """Containers by kind and size only: their repr may be as large and as deep as the request."""
    if isinstance(value, dict):
        return f"an object of {len(value)} fields"
    if isinstance(value, list | tuple):
        return f"an array of {len(value)} items"
    if isinstance(value, int):
        return f"an integer of {value.bit_length()} bits"
    return encodable(repr(value))
