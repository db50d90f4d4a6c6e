"""An answer is good only when it is whole and says what was said before; a refusal only with Retry-After."""

from __future__ import annotations

import json
from typing import Any

import pytest

from loadtests.rehearsal.judging import JudgedStream, judged_status, judged_translation
from loadtests.rehearsal.outcome import CUT, ERROR, FAILED, OK, REFUSED, WRONG


def block(event: str, **data: Any) -> str:
    return f"id: 1\nevent: {event}\ndata: {json.dumps(data)}"


@pytest.mark.parametrize("status", [429, 503])
def test_a_refusal_needs_its_retry_after(status: int) -> None:
    assert judged_status(status, {"Retry-After": "5"}) == (REFUSED, f"status {status}, Retry-After 5")
    assert judged_status(status, {}) == (FAILED, f"status {status}")


def test_other_statuses_and_no_status_are_failures() -> None:
    assert judged_status(200, {}) is None
    assert judged_status(502, {"Retry-After": "5"}) == (FAILED, "status 502")
    assert judged_status(0, {}) == (FAILED, "no answer")


def test_an_answer_must_be_the_text_of_before() -> None:
    assert judged_translation({"translations": [{"text": "Ja."}]}, "Ja.") == (OK, "")
    assert judged_translation({"translations": [{"text": "Nein."}]}, "Ja.")[0] == WRONG
    assert judged_translation({"translations": []}, "Ja.")[0] == FAILED
    assert judged_translation(None, "Ja.")[0] == FAILED


def test_the_deltas_of_a_stream_must_add_up_to_the_text() -> None:
    def verdict(*pieces: str) -> str:
        stream = JudgedStream("Ja. Nein.")
        for piece in pieces:
            stream.feed(block("delta", text_index=0, segment_index=0, text=piece))
        stream.feed(block("done"))
        assert stream.is_over
        return stream.verdict()[0]

    assert verdict("Ja.", " Nein.") == OK
    assert verdict("Ja.") == WRONG
    assert verdict("Ja.", " Nein.", " Nein.") == WRONG  # a piece that came twice


def test_a_stream_without_an_end_is_cut_whatever_it_brought() -> None:
    stream = JudgedStream("Ja.")
    assert stream.verdict() == (CUT, "ended after nothing")
    stream.feed(block("delta", text="Ja."))
    stream.feed(": a comment, which keeps the connection open")
    assert not stream.is_over
    assert stream.verdict() == (CUT, "ended after delta")


def test_a_stream_that_ends_with_an_error_says_which() -> None:
    stream = JudgedStream("Ja.")
    stream.feed(block("error", code="engine_down", status=503))
    assert stream.is_over
    assert stream.verdict() == (ERROR, "engine_down")
