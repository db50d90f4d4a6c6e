"""Alternatives are the likeliest next tokens behind the prefix, each completed as the request says."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from typing import Any

import pytest

from model.decoding import DecodingOptions, Hypothesis
from model.decoding.scoring import normalised_score
from service.app import create_app
from service.engine.errors import EngineOverloaded
from service.engine.request import Event, FinishedEvent, SegmentRequest, SegmentTimings
from service.settings import Settings
from tests.fakes import EOS, CharacterTokenizer, FakeEngine, fake_translator, served_model
from tests.service.http_client import app_client
from tests.service.test_streaming import Connection

# What comes behind which letter; behind all others only the end does. `.` is the end.
NEXT: Mapping[str, Mapping[str, float]] = {
    "": {"a": 0.5, "b": 0.3, "c": 0.15, "e": 0.05},
    "a": {"b": 0.6, "c": 0.3, ".": 0.1},
    "b": {"c": 0.55, ".": 0.4, "a": 0.05},
}


def spell(text: str) -> tuple[int, ...]:
    return tuple(CharacterTokenizer().encode_target(text)[:-1])


def following(text: str) -> list[tuple[str, float]]:
    """Likeliest first; the last letter alone decides."""
    table = NEXT.get(text[-1:], {".": 1.0})
    return sorted(((letter, math.log(share)) for letter, share in table.items()), key=lambda one: -one[1])


def hypothesis(text: str, options: DecodingOptions) -> Hypothesis:
    """Of a text that may end with `.`, which is `</s>`."""
    log_probs = [dict(following(text[:index]))[letter] for index, letter in enumerate(text)]
    score = normalised_score(sum(log_probs), len(text), options.length_penalty)
    letters = text.removesuffix(".")
    reason = "stop" if text.endswith(".") else "length"
    return Hypothesis(spell(letters), tuple(log_probs[: len(letters)]), score, reason)  # type: ignore[arg-type]


def table_engine(**options: Any) -> FakeEngine:
    """Beams of one step answer the likeliest letters; all else goes on with the likeliest to the end."""

    def script(request: SegmentRequest) -> list[Event]:
        asked = request.options
        prefix = CharacterTokenizer().decode_target(asked.prefix_ids)
        if asked.max_length == len(prefix) + 1:
            texts = [prefix + letter for letter, _ in following(prefix)][: asked.num_hypotheses]
        else:
            texts = [completed(prefix)]
        found = tuple(hypothesis(text, asked) for text in texts)
        return [FinishedEvent(found, SegmentTimings(0.0, 0.0, 0.0))]

    return FakeEngine(script=script, **options)


def completed(text: str) -> str:
    while not text.endswith("."):
        text += following(text)[0][0]
    return text


def ask(engine: FakeEngine | None = None, **body: Any) -> Any:
    client = app_client(served_model(engine or table_engine()))
    return client.post("/v1/translate", json={"text": "x", "source": "en", **body})


def answered(engine: FakeEngine | None = None, **body: Any) -> list[dict[str, Any]]:
    response = ask(engine, **body)
    assert response.status_code == 200, response.text
    alternatives: list[dict[str, Any]] = response.json()["translations"][0]["alternatives"]
    return alternatives


def test_the_likeliest_next_tokens_come_first_each_with_its_completion() -> None:
    found = answered(alternatives=3, prefix="a")
    assert [one["next"] for one in found] == ["b", "c", ""]
    assert [one["token"] for one in found] == ["b", "c", "</s>"]
    assert [one["log_prob"] for one in found] == pytest.approx([math.log(p) for p in (0.6, 0.3, 0.1)])
    assert [one["text"] for one in found] == ["abc", "ac", "a"]
    assert {one["finish_reason"] for one in found} == {"stop"}


def test_without_a_prefix_they_are_ways_to_begin() -> None:
    found = answered(alternatives=2)
    assert [(one["next"], one["text"]) for one in found] == [("a", "abc"), ("b", "bc")]


def test_scores_are_those_of_an_ordinary_answer() -> None:
    for one in answered(alternatives=3, prefix="a", length_penalty=0.6):
        options = DecodingOptions(length_penalty=0.6)
        assert one["score"] == pytest.approx(hypothesis(one["text"] + ".", options).score)


def test_the_ordinary_translation_is_answered_beside_them() -> None:
    translation = ask(alternatives=1, prefix="b").json()["translations"][0]
    assert (translation["text"], len(translation["alternatives"])) == ("bc", 1)


def test_layout_stands_around_every_one() -> None:
    assert [one["text"] for one in answered(text="- x\n", alternatives=2, prefix="a")] == [
        "- abc\n",
        "- ac\n",
    ]


def test_the_end_is_no_alternative_where_the_text_may_not_end_yet() -> None:
    found = answered(alternatives=2, prefix="b", min_length=2)
    assert [one["next"] for one in found] == ["c", "a"]


def test_each_is_completed_with_the_request_s_own_options() -> None:
    engine = table_engine()
    options = {"strategy": "greedy", "repetition_penalty": 1.5, "max_length": 40}
    answered(engine, alternatives=2, prefix="a", **options)
    first = DecodingOptions(
        beam_size=2,
        num_hypotheses=2,
        length_penalty=0.0,
        repetition_penalty=1.5,
        prefix_ids=spell("a"),
        max_length=2,
    )
    own, *completions = (DecodingOptions(**options, prefix_ids=spell(text)) for text in ("a", "ab", "ac"))
    asked = {request.segment_id: request.options for request in engine.requests}
    assert list(asked.values()) == [own, first, *completions]


def test_a_prefix_that_leaves_no_room_for_a_token_more_is_refused() -> None:
    response = ask(alternatives=2, prefix="ab", max_length=2)
    (fault,) = response.json()["errors"]
    assert (response.status_code, fault["field"], fault["value"]) == (422, "prefix", "ab")
    assert "max_length, 2" in fault["bound"]
    assert len(answered(alternatives=2, prefix="ab", max_length=3)) == 2


def test_they_are_rounds_of_a_request_that_was_let_in() -> None:
    engine = table_engine()
    answered(engine, alternatives=2)
    own, *rounds = (request.accepted_at for request in engine.requests)
    assert own is None
    assert len(rounds) == 3
    assert None not in rounds


def test_at_most_as_many_as_there_are_are_answered() -> None:
    assert [one["next"] for one in answered(alternatives=32, prefix="a")] == ["b", "c", ""]


def test_an_alternative_that_cannot_but_hold_a_banned_word_is_missing() -> None:
    found = answered(alternatives=3, prefix="a", banned=["AC"])
    assert [(one["next"], one["text"]) for one in found] == [("b", "abc"), ("", "a")]


def test_what_the_engine_refuses_in_a_later_round_is_the_request_s_end() -> None:
    engine = table_engine(refuse=EngineOverloaded(2.0), refuse_after=3)
    response = ask(engine, alternatives=3)
    assert (response.status_code, response.json()["code"]) == (429, "overloaded")
    assert engine.running == set()


def test_a_client_that_goes_stops_them_all() -> None:
    engine = table_engine()
    turns = iter([1, 10**9])

    async def run() -> None:
        engine.turns = lambda: next(turns, 10**9)
        connection = Connection({"text": "x", "source": "en", "alternatives": 2})
        app = create_app(fake_translator(served_model(engine)), Settings())
        request = asyncio.ensure_future(app(connection.scope, connection.receive, connection.send))
        while len(engine.requests) < 4:  # noqa: ASYNC110 (the engine knows no events)
            await asyncio.sleep(0)
        connection.gone.set()
        async with asyncio.timeout(10):
            await request

    asyncio.run(run())
    assert engine.running == set()
    assert len(engine.cancelled) == 3


def test_the_end_mark_of_the_fake_is_that_of_the_tokenizer() -> None:
    assert CharacterTokenizer().target_pieces([EOS]) == ["</s>"]
