"""A body is strict JSON, or is refused with what is wrong with it."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.body import parse_json, validate
from service.errors import InvalidRequest, MalformedBody, OptionNotSupported, ServiceError
from service.schemas import DetectRequest, TranslateRequest


def fault_of(error: ServiceError) -> tuple[str, str, object]:
    return error.faults[0].field, error.faults[0].bound, error.faults[0].value


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "There is no request body."),
        (b"  \n", "There is no request body."),
        (b'{"text": "a"', "The body is not JSON."),
        (b"{'text': 'a'}", "The body is not JSON."),
        (b'{"text": "a"} x', "The body is not JSON."),
        (b'{"text": "\xff"}', "The body is not UTF-8."),
        (b'{"text": "\xed\xa0\x80"}', "The body is not UTF-8."),
        (b"\xff\xfe{\x00}\x00", "The body is not UTF-8."),
        (b'\xef\xbb\xbf{"text": "a"}', "The body is not JSON."),
        (b'{"length_penalty": NaN}', "NaN is not JSON."),
        (b'{"length_penalty": -Infinity}', "-Infinity is not JSON."),
        (b'{"text": "a", "text": "b"}', "A field is given twice."),
        (b'{"a": {"b": 1, "b": 2}}', "A field is given twice."),
        (b"[" * 100_000 + b"]" * 100_000, "The body is nested too deeply."),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "The body is nested too deeply."),
        (b'{"beam_size": ' + b"9" * 10_000 + b"}", "A number in the body has too many digits."),
        (b'{"text": "a\nb"}', "The body is not JSON."),
    ],
)
def test_what_is_not_strict_json_is_refused(body: bytes, detail: str) -> None:
    with pytest.raises(MalformedBody) as caught:
        parse_json(body)
    assert caught.value.detail == detail
    assert caught.value.faults


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=10,
    )
)
def test_what_is_strict_json_is_read(value: object) -> None:
    assert parse_json(json.dumps(value).encode()) == value


@given(st.binary())
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with suppress(MalformedBody):
        parse_json(body)


def test_a_value_that_this_version_lacks_is_refused_by_name() -> None:
    with pytest.raises(OptionNotSupported) as caught:
        validate(TranslateRequest, {"text": "a", "format": "html"})
    bound = "another value: this version does not support it"
    assert fault_of(caught.value) == ("format", bound, "html")


@pytest.mark.parametrize(
    ("data", "field", "bound", "value"),
    [
        ([], "body", "a JSON object", []),
        ("text", "body", "a JSON object", "text"),
        ({}, "text", "given", None),
        ({"text": None}, "text", "a string", None),
        ({"text": 5}, "text", "a string", 5),
        ({"text": ["a", 5]}, "text[1]", "a string", 5),
        ({"text": ["a", None]}, "text[1]", "a string", None),
        ({"text": {"a": 1}}, "text", "a string", {"a": 1}),
        ({"text": "a\0b"}, "text", "free of U+0000, which is character 1", "a\0b"),
        ({"text": ["a", "\ud800"]}, "text[1]", "free of lone surrogates, as U+D800 at character 0", "\ud800"),
        ({"text": "a", "beam_size": -4}, "beam_size", "at least 1", -4),
        ({"text": "a", "beam_size": 33}, "beam_size", "at most 32", 33),
        ({"text": "a", "beam_size": 10**400}, "beam_size", "at most 32", 10**400),
        ({"text": "a", "beam_size": 4.0}, "beam_size", "an integer", 4.0),
        ({"text": "a", "beam_size": "4"}, "beam_size", "an integer", "4"),
        ({"text": "a", "beam_size": True}, "beam_size", "an integer", True),
        ({"text": "a", "patience": 0}, "patience", "more than 0", 0),
        ({"text": "a", "length_penalty": 1e999}, "length_penalty", "a finite number", 1e999),
        ({"text": "a", "length_penalty": "high"}, "length_penalty", "a number", "high"),
        ({"text": "a", "stream": 1}, "stream", "true or false", 1),
        ({"text": "a", "strategy": "best"}, "strategy", "one of 'beam', 'greedy' or 'sample'", "best"),
        ({"text": "a", "return": "scores"}, "return", "an array", "scores"),
        (
            {"text": "a", "return": ["score"]},
            "return[0]",
            "one of 'scores', 'tokens', 'alignment', 'attention' or 'segments'",
            "score",
        ),
        ({"text": "a", "stream_mode": "fast"}, "stream_mode", "one of 'stable' or 'draft'", "fast"),
        ({"text": "a", "seed": -1}, "seed", "at least 0", -1),
        ({"text": "a", "epsilon": 1.0}, "epsilon", "less than 1", 1.0),
        ({"text": "a", "banned": ["a"] * 65}, "banned", "at most 64 items long", ["a"] * 65),
        ({"text": "a", "banned": ["b", ""]}, "banned[1]", "at least 1 characters long", ""),
        ({"text": "a", "required": ["x" * 201]}, "required[0]", "at most 200 characters long", "x" * 201),
        ({"text": "a", "prefix": "a\0"}, "prefix", "free of U+0000, which is character 1", "a\0"),
        ({"text": "a", "source": ""}, "source", "at least 1 characters long", ""),
        ({"text": "a", "source": "x" * 36}, "source", "at most 35 characters long", "x" * 36),
        (
            {"text": "a", "source": "\ud800"},
            "source",
            "free of lone surrogates, as U+D800 at character 0",
            "\ud800",
        ),
        ({"text": "a", "priority": 11}, "priority", "at most 10", 11),
        ({"text": "a", "timeout_ms": 0}, "timeout_ms", "at least 1", 0),
        ({"text": "a", "timeout_ms": 86_400_001}, "timeout_ms", "at most 86400000", 86_400_001),
    ],
)
def test_a_wrong_field_is_named_with_its_bound_and_its_value(
    data: object, field: str, bound: str, value: object
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        validate(TranslateRequest, data)
    assert fault_of(caught.value) == (field, bound, value)


def test_an_unknown_field_is_named_with_the_known_ones() -> None:
    with pytest.raises(InvalidRequest) as caught:
        validate(DetectRequest, {"text": "a", "txt": 1})
    assert fault_of(caught.value) == ("txt", "left out: there is no such field; the fields are text", 1)


def test_all_faults_are_named_up_to_a_number() -> None:
    with pytest.raises(InvalidRequest) as caught:
        validate(TranslateRequest, {"text": "a", **{f"field{number}": 1 for number in range(50)}})
    assert len(caught.value.faults) == 20


def test_null_is_as_good_as_left_out_for_what_may_be_left_out() -> None:
    asked = validate(TranslateRequest, {"text": "a", "source": None, "beam_size": None, "timeout_ms": None})
    assert (asked.source, asked.beam_size, asked.timeout_ms) == (None, None, None)
