"""Whatever is wrong with a request, the answer is a problem that names it, and the server goes on."""

import asyncio
import gzip
import json
import time
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import example, given
from hypothesis import strategies as st

from service.engine.errors import (
    DeadlineExceeded,
    EngineDraining,
    EngineOverloaded,
    SegmentTooLarge,
    StepFailed,
)
from service.lifecycle import Lifecycle
from service.schemas import TranslateRequest
from service.settings import Settings
from tests.fakes import FakeEngine, served_model
from tests.service.http_client import app_client, metric, read_events, streamed_texts

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def client() -> TestClient:
    return app_client()


def problem(response: Any, status: int, code: str) -> dict[str, Any]:
    """The problem object, after checking what all of them have."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert body["code"] == code
    assert body["type"] == f"urn:verto:problem:{code}"
    assert body["title"]
    assert body["detail"]
    assert body["request_id"] == response.headers["x-request-id"]
    return body


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        (b"", 400, "malformed_body", "body"),
        (b"not json", 400, "malformed_body", "body"),
        (b'{"text": "\xff"}', 400, "malformed_body", "body"),
        (b"[" * 50_000, 400, "malformed_body", "body"),
        (b'{"text": "a", "text": "b"}', 400, "malformed_body", "text"),
        (b'{"text": "a", "beam_size": NaN}', 400, "malformed_body", "body"),
        (b"[]", 422, "invalid_request", "body"),
        (b"{}", 422, "invalid_request", "text"),
        (b'{"text": "a", "sauce": "en"}', 422, "invalid_request", "sauce"),
        (b'{"text": "a", "\\ud800": 1}', 422, "invalid_request", "body"),
        (b'{"text": "a\\u0000b"}', 422, "invalid_request", "text"),
        (b'{"text": "\\ud83d"}', 422, "invalid_request", "text"),
        (b'{"text": "a", "model": "\\udc00"}', 422, "invalid_request", "model"),
        (b'{"text": "a", "beam_size": -4}', 422, "invalid_request", "beam_size"),
        (b'{"text": "a", "beam_size": 1e400}', 422, "invalid_request", "beam_size"),
        (b'{"text": "a", "num_hypotheses": 5, "beam_size": 2}', 422, "invalid_request", "num_hypotheses"),
        (b'{"text": "a", "strategy": "greedy", "beam_size": 4}', 422, "invalid_request", "beam_size"),
        (b'{"text": "a", "min_length": 9, "max_length": 3}', 422, "invalid_request", "min_length"),
        (b'{"text": "a", "timeout_ms": 60001}', 422, "invalid_request", "timeout_ms"),
        (b'{"text": "a", "timeout_ms": 1' + b"0" * 400 + b"}", 422, "invalid_request", "timeout_ms"),
        (b'{"text": "a", "temperature": 0.7}', 422, "invalid_request", "temperature"),
        (b'{"text": "a", "strategy": "sample", "beam_size": 4}', 422, "invalid_request", "beam_size"),
        (b'{"text": "a", "diversity_groups": 3}', 422, "invalid_request", "diversity_groups"),
        (b'{"text": "a", "format": "html"}', 422, "option_not_supported", "format"),
        (b'{"text": "a", "stream_mode": "draft"}', 422, "invalid_request", "stream_mode"),
        (b'{"text": "a", "alternatives": 3, "stream": true}', 422, "invalid_request", "alternatives"),
        (b'{"text": ["a", "b"], "alternatives": 3}', 422, "invalid_request", "alternatives"),
        (b'{"text": "One two. Three four.", "alternatives": 3}', 422, "invalid_request", "alternatives"),
        (b'{"text": "42", "alternatives": 3}', 422, "invalid_request", "alternatives"),
        (b'{"text": ["a", "b"], "prefix": "c"}', 422, "invalid_request", "prefix"),
        (b'{"text": "42", "prefix": "c"}', 422, "invalid_request", "prefix"),
        (b'{"text": "a", "prefix": "one two", "banned": ["TWO"]}', 422, "invalid_request", "prefix"),
        (b'{"text": "a", "banned": [" "]}', 422, "invalid_request", "banned[0]"),
        (b'{"text": "a", "banned": ["' + b"b" * 64 + b'"]}', 422, "invalid_request", "banned[0]"),
        (b'{"text": "a", "banned": ["b"], "required": ["c"]}', 422, "invalid_request", "banned"),
        (b'{"text": ["a", "One. Two and three."], "required": ["c"]}', 422, "invalid_request", "required"),
        (b'{"text": "a", "strategy": "greedy", "required": ["c"]}', 422, "invalid_request", "required"),
        (
            b'{"text": "a", "no_repeat_ngram_size": 2, "required": ["c"]}',
            422,
            "invalid_request",
            "no_repeat_ngram_size",
        ),
        (
            b'{"text": "' + b"One two. " * 40 + b'", "return": ["attention"]}',
            422,
            "invalid_request",
            "return",
        ),
        (b'{"text": "a", "source": "xx"}', 422, "language_not_available", "source"),
        (b'{"text": "a", "target": "xx"}', 422, "language_not_available", "target"),
        (b'{"text": "a", "model": "nope"}', 422, "model_not_found", "model"),
        (b'{"text": "' + b"x" * 130 + b'", "split": "none"}', 422, "segment_too_long", "text"),
    ],
)
def test_a_bad_body_is_refused_naming_the_field(
    client: TestClient, body: bytes, status: int, code: str, field: str
) -> None:
    faults = problem(client.post("/v1/translate", content=body, headers=JSON), status, code)["errors"]
    assert faults[0]["field"] == field
    assert faults[0]["bound"]
    assert client.post("/v1/translate", json={"text": "Still here."}).status_code == 200


def test_a_text_of_a_megabyte_is_too_large_and_the_limit_is_named(client: TestClient) -> None:
    response = client.post("/v1/translate", json={"text": "x" * 1_000_000})
    (fault,) = problem(response, 413, "request_too_large")["errors"]
    assert fault == {
        "field": "text",
        "bound": "at most 20000 characters in all texts together",
        "value": 1_000_000,
    }


def test_a_body_beyond_the_limit_is_too_large_with_and_without_a_length(client: TestClient) -> None:
    body = b'{"text": "' + b"x" * 3_000_000 + b'"}'
    (fault,) = problem(client.post("/v1/translate", content=body, headers=JSON), 413, "request_too_large")[
        "errors"
    ]
    assert (fault["field"], fault["bound"]) == ("body", "at most 2097152 bytes")
    chunks = (body[start : start + 100_000] for start in range(0, len(body), 100_000))
    problem(client.post("/v1/translate", content=chunks, headers=JSON), 413, "request_too_large")


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin-1",
        "multipart/form-data",
        "application/json; charset=utf-8; charset=latin-1",
        "application/json, text/plain",
    ],
)
def test_another_media_type_is_refused(client: TestClient, content_type: str) -> None:
    response = client.post("/v1/translate", content=b'{"text": "a"}', headers={"Content-Type": content_type})
    (fault,) = problem(response, 415, "unsupported_media_type")["errors"]
    assert fault == {"field": "Content-Type", "bound": "application/json", "value": content_type}


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON; charset=UTF-8",
        "application/json;charset=UTF-8;",
        'application/json; charset="utf-8"',
        None,
    ],
)
def test_json_is_taken_whatever_its_type_is_written_like(
    client: TestClient, content_type: str | None
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    assert client.post("/v1/translate", content=b'{"text": "a"}', headers=headers).status_code == 200


def test_of_two_media_types_none_is_ignored(client: TestClient) -> None:
    types = [("Content-Type", "application/json"), ("Content-Type", "text/plain")]
    for headers in (types, types[::-1]):
        response = client.post("/v1/translate", content=b'{"text": "a"}', headers=headers)
        (fault,) = problem(response, 415, "unsupported_media_type")["errors"]
        assert (fault["field"], fault["value"]) == ("Content-Type", "text/plain")


@pytest.mark.parametrize("path", ["/v1/translate", "/v1/detect"])
@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip"])
def test_a_packed_body_is_refused_for_that(client: TestClient, path: str, coding: str) -> None:
    headers = JSON | {"Content-Encoding": coding}
    for content in (b'{"text": "a"}', gzip.compress(b'{"text": "a"}')):
        response = client.post(path, content=content, headers=headers)
        (fault,) = problem(response, 415, "unsupported_media_type")["errors"]
        assert (fault["field"], fault["value"]) == ("Content-Encoding", coding)
        assert response.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("coding", ["", "identity", "Identity"])
def test_a_body_that_is_said_to_be_as_it_is_is_taken(client: TestClient, coding: str) -> None:
    headers = JSON | {"Content-Encoding": coding}
    assert client.post("/v1/translate", content=b'{"text": "a"}', headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/translate"), ("POST", "/v1/detect"), ("GET", "/v1/models"), ("GET", "/v1/languages")],
)
def test_a_parameter_in_the_address_is_refused_by_name(client: TestClient, method: str, path: str) -> None:
    body = {"text": "Hello."} if method == "POST" else None
    assert client.request(method, path + "?", json=body).status_code == 200
    response = client.request(method, path + "?source=fr&bogus=1", json=body)
    faults = problem(response, 422, "invalid_request")["errors"]
    assert [(one["field"], one["value"]) for one in faults] == [("source", "fr"), ("bogus", "1")]


def test_an_unknown_address_and_a_wrong_method_are_problems_too(client: TestClient) -> None:
    problem(client.get("/v1/nothing"), 404, "not_found")
    response = client.get("/v1/translate")
    problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        (EngineOverloaded(2.4), 429, "overloaded"),
        (EngineDraining(), 503, "draining"),
        (SegmentTooLarge("beam_size", 4, 8), 422, "invalid_request"),
    ],
)
def test_what_the_engine_refuses_is_refused_before_the_first_byte_and_the_rest_is_cancelled(
    stream: bool, refusal: Any, status: int, code: str
) -> None:
    engine = FakeEngine(refuse=refusal, refuse_after=2)
    client = app_client(served_model(engine))
    response = client.post("/v1/translate", json={"text": "One. Two. Three.", "stream": stream})
    body = problem(response, status, code)
    assert len(engine.cancelled) == 2
    if status in (429, 503):
        assert int(response.headers["retry-after"]) == body["retry_after_seconds"] >= 1
        assert metric(client, f'verto_rejected_total{{reason="{code}"}}') == 1
    else:
        assert body["errors"] == [{"field": "beam_size", "bound": "at most 4 on this server", "value": 8}]


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (DeadlineExceeded("queued"), 504, "deadline_passed"),
        (StepFailed("out of memory at 0x7f"), 500, "internal_error"),
    ],
)
def test_a_failure_is_a_status_or_ends_the_stream_with_an_error_event(
    failure: Any, status: int, code: str
) -> None:
    client = app_client(served_model(FakeEngine(fail=failure)))
    body = problem(client.post("/v1/translate", json={"text": "One. Two."}), status, code)
    assert "0x7f" not in str(body)
    events = read_events(client.post("/v1/translate", json={"text": "One. Two.", "stream": True}).text)
    assert [event.name for event in events] == ["start", "delta", "error"]
    assert events[-1].data["code"] == code
    assert events[-1].data["request_id"]
    assert metric(client, f'verto_requests_total{{code="{status}",pair="en-de",route="/v1/translate"}}') == 2


@pytest.mark.parametrize("stream", [False, True])
def test_an_engine_that_does_not_answer_ends_with_the_deadline_and_is_told_to_stop(stream: bool) -> None:
    engine = FakeEngine(gate=asyncio.Event())
    body = {"text": "One. Two.", "timeout_ms": 30, "stream": stream}
    client = app_client(served_model(engine))
    started = time.monotonic()
    response = client.post("/v1/translate", json=body)
    assert time.monotonic() - started < 8
    if stream:
        assert read_events(response.text)[-1].data["code"] == "deadline_passed"
    else:
        problem(response, 504, "deadline_passed")
    assert len(engine.cancelled) == 2


def test_while_models_are_loaded_work_is_refused_and_may_be_tried_again() -> None:
    response = app_client(lifecycle=Lifecycle()).post("/v1/translate", json={"text": "a"})
    problem(response, 503, "loading")
    assert response.headers["retry-after"] == "2"


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-100, 100) | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = sorted(field.alias or name for name, field in TranslateRequest.model_fields.items())
BODIES = st.one_of(
    JSON_VALUES,
    st.dictionaries(st.sampled_from(FIELDS), JSON_VALUES, max_size=4),
    st.dictionaries(st.sampled_from(FIELDS), JSON_VALUES, max_size=3).map(
        lambda body: {**body, "text": "One. Two."}
    ),
)


@given(BODIES)
@example({"text": ["a", ["b"]], "return": [{}]})
def test_no_json_whatever_is_answered_by_a_fault_of_ours(body: object) -> None:
    response = shared_client().post("/v1/translate", content=json.dumps(body), headers=JSON)
    assert response.status_code < 500
    if response.status_code >= 400:
        problem(response, response.status_code, response.json()["code"])


@given(st.binary(max_size=60), st.sampled_from(["/v1/translate", "/v1/detect"]))
def test_no_bytes_whatever_are_answered_by_a_fault_of_ours(body: bytes, path: str) -> None:
    assert 400 <= shared_client().post(path, content=body, headers=JSON).status_code < 500


TEXTS = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    st.lists(st.sampled_from(["One.", " ", "\n", "\t", "\r\n", "- ", "two ", "😀", "3.", "é", "，"])).map(
        "".join
    ),
)


@given(st.lists(TEXTS, max_size=3), st.sampled_from(["sentences", "lines"]))
@example(["00000000， 0A"], "sentences")
def test_an_engine_that_changes_nothing_gives_every_text_back_in_one_piece_and_streamed(
    texts: list[str], split: str
) -> None:
    body = {"text": texts, "source": "en", "split": split}
    whole = shared_client().post("/v1/translate", json=body)
    assert [one["text"] for one in whole.json()["translations"]] == texts
    streamed = shared_client().post("/v1/translate", json={**body, "stream": True})
    assert streamed_texts(read_events(streamed.text), len(texts)) == texts


_clients: list[TestClient] = []


def shared_client() -> TestClient:
    """One client for all examples of the properties above."""
    if not _clients:
        model = served_model(FakeEngine(tokens_per_event=2), max_source_length=12)
        _clients.append(app_client(model, settings=Settings()))
    return _clients[0]
