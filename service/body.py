"""Makes a checked value of a request's body, or says exactly what is wrong with it.

The raw body and the checked request are different types: nothing behind this file sees the first.
Knows bytes, JSON and pydantic's errors; must not know what a field means.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers
from starlette.requests import Request

from service.errors import (
    FieldFault,
    InvalidRequest,
    MalformedBody,
    OptionNotSupported,
    UnsupportedMediaType,
)
from service.intake import Intake
from service.schemas import VALUES_NOT_SUPPORTED

SchemaType = TypeVar("SchemaType", bound=BaseModel)

MAX_FAULTS = 20
_MEDIA_TYPES = frozenset({"", "application/json"})
# As they are left when spaces and quotes are away; nothing may stand behind a last semicolon.
_PARAMETERS = frozenset({"", "charset=utf-8", "charset=utf8", "utf-8", "utf8"})
# Words for pydantic's kinds of fault that name a bound better than its messages do.
_BOUND_OF = {
    "extra_forbidden": "left out: there is no such field",
    "missing": "given",
    "string_type": "a string",
    "string_unicode": "text that can be encoded as UTF-8",
    "int_type": "an integer",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "list_type": "an array",
    "model_type": "a JSON object",
    "model_attributes_type": "a JSON object",
}
_BOUND_WITH_LIMIT = {
    "greater_than": ("more than {gt}", "gt"),
    "greater_than_equal": ("at least {ge}", "ge"),
    "less_than": ("less than {lt}", "lt"),
    "less_than_equal": ("at most {le}", "le"),
    "literal_error": ("one of {expected}", "expected"),
    "string_too_short": ("at least {min_length} characters long", "min_length"),
    "string_too_long": ("at most {max_length} characters long", "max_length"),
    "too_long": ("at most {max_length} items long", "max_length"),
}


async def read_json(request: Request, intake: Intake) -> object:
    """The body's JSON value. Raises UnsupportedMediaType, MalformedBody, and what `Intake.read` does."""
    _check_coding(request.headers)
    _check_media_type(request.headers)
    return parse_json(await intake.read(request))


async def read_json_if_any(request: Request, intake: Intake) -> object:
    """The same where a request may have no body: that is as good as an empty object."""
    _check_coding(request.headers)
    body = await intake.read(request)
    if not body.strip():
        return {}
    _check_media_type(request.headers)
    return parse_json(body)


def parse_json(body: bytes) -> object:
    """Strict JSON: UTF-8, no NaN, no name twice in one object, not nested beyond what can be read."""
    if not body.strip():
        _malformed("There is no request body.", "a JSON object", None)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        _malformed("The body is not UTF-8.", "UTF-8", f"byte 0x{body[error.start]:02X} at {error.start}")
    try:
        return _DECODER.decode(text)
    except RecursionError:
        _malformed("The body is nested too deeply.", "JSON of ordinary depth", None)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        _malformed("The body is not JSON.", f"JSON; {error.msg} at {place}", text[error.pos : error.pos + 20])
    except ValueError:
        # Python refuses to read a number of more than a few thousand digits.
        _malformed("A number in the body has too many digits.", "numbers of ordinary length", None)


def validate(schema: type[SchemaType], data: object) -> SchemaType:
    """The checked request. Raises InvalidRequest, OptionNotSupported."""
    if not isinstance(data, dict):
        fault = FieldFault("body", "a JSON object", data)
        raise InvalidRequest("The body must be a JSON object.", faults=[fault])
    _refuse_unsupported(data)
    try:
        return schema.model_validate(data)
    except ValidationError as error:
        names = [field.alias or name for name, field in schema.model_fields.items()]
        faults = [_fault(one, names) for one in error.errors(include_url=False)[:MAX_FAULTS]]
    raise InvalidRequest(f"{faults[0].field} must be {faults[0].bound}.", faults=faults)


def _check_coding(headers: Headers) -> None:
    """Nothing is unpacked here; what came packed would be refused for what it looks like."""
    for codings in headers.getlist("content-encoding"):
        if any(one.strip().lower() not in ("", "identity") for one in codings.split(",")):
            fault = FieldFault("Content-Encoding", "left out, or identity", codings)
            detail = "The body must be sent as it is, not compressed."
            taken = {"Accept-Encoding": "identity"}  # RFC 9110, section 15.5.16
            raise UnsupportedMediaType(detail, faults=[fault], headers=taken)


def _check_media_type(headers: Headers) -> None:
    """`application/json`, with or without a UTF-8 charset; a body without a type is taken for JSON."""
    for content_type in headers.getlist("content-type"):  # given twice, either could be meant
        media_type, *parameters = content_type.lower().split(";")
        bare = {one.strip().replace(" ", "").replace('"', "") for one in parameters}
        if media_type.strip() not in _MEDIA_TYPES or not bare <= _PARAMETERS:
            fault = FieldFault("Content-Type", "application/json", content_type)
            raise UnsupportedMediaType("The body must be application/json in UTF-8.", faults=[fault])


def _unique_object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Of a name given twice, one value would be ignored without a word."""
    values = dict(pairs)
    if len(values) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        fault = FieldFault(twice, "given once", "given twice")
        raise MalformedBody("A field is given twice.", faults=[fault])
    return values


def _refuse_constant(name: str) -> NoReturn:
    _malformed(f"{name} is not JSON.", "a JSON number", name)


def _malformed(detail: str, bound: str, value: object) -> NoReturn:
    raise MalformedBody(detail, faults=[FieldFault("body", bound, value)]) from None


# `json.loads` would make one for each request.
_DECODER = json.JSONDecoder(object_pairs_hook=_unique_object, parse_constant=_refuse_constant)


def _refuse_unsupported(data: Mapping[str, Any]) -> None:
    """Values of the API's design that this version lacks get an answer that says so."""
    faults: list[FieldFault] = []
    for name, refused in VALUES_NOT_SUPPORTED.items():
        given = data.get(name)
        for value in given if isinstance(given, list) else [given]:
            if isinstance(value, str) and value in refused:
                faults.append(FieldFault(name, "another value: this version does not support it", value))
    if faults:
        names = ", ".join(fault.field for fault in faults)
        raise OptionNotSupported(f"This version does not support: {names}.", faults=faults)


def _fault(error: Mapping[str, Any], known: Sequence[str]) -> FieldFault:
    kind, context = error["type"], error.get("ctx", {})
    bound = _BOUND_OF.get(kind)
    if kind == "extra_forbidden":
        bound = f"{bound}; the fields are {', '.join(known)}"
    elif kind in _BOUND_WITH_LIMIT:
        words, name = _BOUND_WITH_LIMIT[kind]
        limit = context[name]
        bound = words.format(**{name: f"{limit:g}" if isinstance(limit, float) else limit})
    value = None if kind == "missing" else error["input"]
    return FieldFault(_path(error["loc"]), bound or str(error["msg"]), value)


def _path(location: Sequence[str | int]) -> str:
    """`text[3]`, as the field stands in the request; pydantic's tag for the kind of `text` is left out."""
    path = ""
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        elif not (path == "text" and step in ("string", "array")):
            path += f".{step}" if path else step
    return path or "body"
