"""How the API describes itself: request bodies, problems and streams in `/openapi.json`.

Bodies are read by body.py rather than by the framework, so their schemas are added here. Knows schemas and
OpenAPI; must not know what routes do.
"""

import json
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from service.admin_schemas import LoadRequest, ReloadRequest
from service.answer_schemas import Problem
from service.errors import PROBLEM_MEDIA_TYPE
from service.schemas import DetectRequest, TranslateRequest
from service.streaming import EVENT_STREAM

_REFERENCE = "#/components/schemas/{model}"
_REQUEST_SCHEMAS: tuple[type[BaseModel], ...] = (
    TranslateRequest,
    DetectRequest,
    LoadRequest,
    ReloadRequest,
    Problem,
)

_PROBLEM_OF_STATUS = {
    400: "The body cannot be read",
    401: "The admin key is missing or wrong",
    404: "No such model",
    405: "Method not allowed here",
    408: "The rest of the request did not come in time",
    409: "The model is being changed already, stands in the way, or is the only one",
    413: "The request is too large",
    415: "The body is not application/json, or compressed",
    422: "A field is unknown, of the wrong type or out of bounds, or a language is not available",
    429: "Too much work is waiting; `Retry-After` says when to try again",
    500: "Internal error",
    503: "The server is loading or shutting down; `Retry-After` says when to try again",
    504: "The deadline has passed",
    507: "There is no room in memory for the model",
}
_ADMIN_STATUSES = (401, 404, 409, 507)


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": _REFERENCE.format(model="Problem")}
    return {"description": description, "content": {PROBLEM_MEDIA_TYPE: {"schema": schema}}}


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: _problem(description)
    for status, description in _PROBLEM_OF_STATUS.items()
    if status not in _ADMIN_STATUSES
}

_STREAM_EXAMPLE = (
    'id: 1\nevent: start\ndata: {"id":"4f0c…","model":"en-de","source":"en","target":"de","segments":[1]}\n\n'
    'id: 2\nevent: delta\ndata: {"text_index":0,"segment_index":0,"text":"Die Katze"}\n\n'
)
TRANSLATE_RESPONSES: dict[int | str, dict[str, Any]] = {
    **PROBLEMS,
    200: {
        "description": "The translations; with `stream`, server-sent events.",
        "content": {EVENT_STREAM: {"schema": {"type": "string"}, "example": _STREAM_EXAMPLE}},
    },
}


def admin_responses(*more: int) -> dict[int | str, dict[str, Any]]:
    """Problems of the admin API's operations; those with `more` statuses besides what all have."""
    statuses = (400, 401, 405, 408, 413, 415, 422, 500, 503, *more)
    return {status: _problem(_PROBLEM_OF_STATUS[status]) for status in sorted(statuses)}


def request_body(schema: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """The part of an operation that says what body it takes."""
    reference = {"$ref": _REFERENCE.format(model=schema.__name__)}
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": reference}}}}


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, made once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        components = document.setdefault("components", {}).setdefault("schemas", {})
        told = json.dumps(document)
        for schema in _REQUEST_SCHEMAS:
            if _REFERENCE.format(model=schema.__name__) in told:
                components.update(_definitions(schema))
        app.openapi_schema = document
    return app.openapi_schema


def _definitions(schema: type[BaseModel]) -> dict[str, Any]:
    described = schema.model_json_schema(ref_template=_REFERENCE)
    nested = described.pop("$defs", {})
    return {**nested, schema.__name__: described}
