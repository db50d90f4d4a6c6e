"""Errors are problem objects that can always be sent."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import errors
from service.errors import (
    DeadlinePassed,
    FieldFault,
    InvalidRequest,
    Overloaded,
    ServiceError,
    shorten,
)


def every_error(base: type[ServiceError] = ServiceError) -> list[type[ServiceError]]:
    return [one for child in base.__subclasses__() for one in [child, *every_error(child)]]


def test_a_problem_has_what_rfc_9457_and_we_promise() -> None:
    error = InvalidRequest(
        "beam_size must be at least 1.", faults=[FieldFault("beam_size", "at least 1", -4)]
    )
    assert error.problem("r1") == {
        "type": "urn:verto:problem:invalid_request",
        "title": "The request is not valid",
        "status": 422,
        "detail": "beam_size must be at least 1.",
        "code": "invalid_request",
        "request_id": "r1",
        "errors": [{"field": "beam_size", "bound": "at least 1", "value": -4}],
    }


@pytest.mark.parametrize("kind", every_error())
def test_the_tree_in_the_docstring_names_every_error_with_status_and_code(kind: type[ServiceError]) -> None:
    (line,) = [line for line in (errors.__doc__ or "").splitlines() if f" {kind.__name__} " in line]
    assert line.split(kind.__name__)[1].split()[:2] == [str(kind.status), kind.code]


def test_codes_are_different() -> None:
    codes = [kind.code for kind in every_error()]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize(
    ("seconds", "header"), [(0.0, "1"), (0.2, "1"), (1.0, "1"), (1.01, "2"), (59.5, "60")]
)
def test_retry_after_is_whole_seconds_rounded_up_and_never_now(seconds: float, header: str) -> None:
    error = Overloaded("Full.", retry_after_seconds=seconds)
    assert error.response("r").headers["Retry-After"] == header
    assert error.problem("r")["retry_after_seconds"] == int(header)


def test_an_answer_is_problem_json_with_its_status() -> None:
    response = DeadlinePassed("Too late.").response("r")
    assert (response.status_code, response.headers["content-type"]) == (504, "application/problem+json")


def test_values_are_shortened_and_containers_only_described() -> None:
    assert shorten("x" * 500) == "x" * 79 + "…"
    assert shorten({"a": [1] * 10_000}) == "an object of 1 fields"
    assert shorten([1, 2]) == "an array of 2 items"
    assert shorten(10**5000) == "an integer of 16610 bits"
    assert shorten(float("nan")) == "nan"
    assert [shorten(value) for value in (None, True, 7, 1.5)] == [None, True, 7, 1.5]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.characters(categories=["Cs"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(ANYTHING, st.text(st.characters()), st.text(st.characters(categories=["Cs", "Lu"])))
def test_whatever_came_the_problem_can_be_encoded(value: object, field: str, detail: str) -> None:
    body = InvalidRequest(detail, faults=[FieldFault(field, "good", value)]).response("r").body
    assert json.loads(bytes(body).decode("utf-8"))["status"] == 422
