"""A segment with banned phrases is decoded until they are gone, and nothing is told before."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.decoding import DecodingOptions, Hypothesis
from service.demands import Demands
from service.engine.errors import EngineOverloaded, StepFailed
from service.engine.request import (
    DraftEvent,
    Event,
    FailedEvent,
    FinishedEvent,
    SegmentRequest,
    SegmentTimings,
    TokensEvent,
)
from service.masking import mask
from service.phrases import BannedPhrases
from service.protection import CopiedIds
from service.verified_events import MAX_ROUNDS, StillBanned
from tests.builders import tiny_tokenizer
from tests.fakes import FakeEngine, served_model
from tests.service.http_client import app_client, read_events, streamed_texts

TOKENIZER = tiny_tokenizer("unigram")


def ids_of(text: str) -> tuple[int, ...]:
    return tuple(TOKENIZER.encode_target(text)[:-1])


def contains(token_ids: Sequence[int], sequence: Sequence[int]) -> bool:
    length = len(sequence)
    return any(tuple(token_ids[i : i + length]) == tuple(sequence) for i in range(len(token_ids)))


class Searching:
    """Answers the first of its hypotheses that no banned sequence rules out, behind the prefix."""

    def __init__(self, *preferred: Sequence[int]) -> None:
        self.preferred = [tuple(token_ids) for token_ids in preferred]
        self.engine = FakeEngine(script=self.script)

    def script(self, request: SegmentRequest) -> list[Event]:
        prefix, banned = request.options.prefix_ids, request.options.banned_ids
        fitting = (
            token_ids
            for token_ids in self.preferred
            if not any(contains(token_ids[len(prefix) :], sequence) for sequence in banned)
        )
        best = Hypothesis(next(fitting), (), -1.0, "stop")
        events: list[Event] = [TokensEvent(best.token_ids[:1]), DraftEvent(best.token_ids)]
        return [*events, FinishedEvent((best,), SegmentTimings(0.1, 0.2, 0.4))]

    def run(self, *phrases: str, **options: Any) -> list[Event]:
        request = SegmentRequest(segment_id="a", source_ids=(5, 3), options=DecodingOptions(**options))

        async def collect() -> list[Event]:
            demands = Demands(TOKENIZER, banned=BannedPhrases(TOKENIZER, phrases) if phrases else None)
            return [event async for event in demands.submit(self.engine, request)]

        return asyncio.run(collect())


def text_of(events: list[Event]) -> str:
    (event,) = events
    assert isinstance(event, FinishedEvent)
    return TOKENIZER.decode_target(event.hypotheses[0].token_ids)


def test_without_banned_phrases_events_are_the_engine_s_own() -> None:
    events = Searching(ids_of("ba")).run()
    assert [type(event) for event in events] == [TokensEvent, DraftEvent, FinishedEvent]


def test_a_clean_answer_comes_as_it_is_and_decoding_is_not_narrowed() -> None:
    searching = Searching(ids_of("ba de"))
    events = searching.run("fi", "bade")
    assert text_of(events) == "ba de"
    assert [request.options for request in searching.engine.requests] == [DecodingOptions()]


def test_the_spelling_that_was_found_is_banned_until_another_text_comes() -> None:
    pieces = [ids_of("ba")[0], *ids_of("xde")[len(ids_of("x")) :]]
    searching = Searching(ids_of("ba fi"), ids_of("go Fi"), ids_of("go fi."), ids_of("go figo"), pieces)
    assert text_of(searching.run("fi")) == TOKENIZER.decode_target(pieces)
    assert 2 <= len(searching.engine.requests) <= 4


def test_a_later_round_keeps_the_place_of_the_first() -> None:
    searching = Searching(ids_of("ba fi"), ids_of("go fi."), ids_of("go"))
    searching.run("fi")
    first, *later = (request.accepted_at for request in searching.engine.requests)
    assert first is None
    assert later
    assert len(set(later)) == 1
    assert None not in later


@given(st.lists(st.lists(st.integers(4, 479), min_size=1, max_size=6), max_size=8), st.data())
@settings(deadline=None, max_examples=60)
def test_whatever_a_search_prefers_no_banned_word_is_answered(
    preferred: list[list[int]], data: st.DataObject
) -> None:
    words = [word for ids in preferred for word in TOKENIZER.decode_target(ids).split()] or ["ba"]
    phrase = data.draw(st.sampled_from(words))
    banned = BannedPhrases(TOKENIZER, [phrase])
    searching = Searching(*preferred, [TOKENIZER.unk_id])
    (event,) = searching.run(phrase)
    if isinstance(event, FinishedEvent):
        assert banned.phrase_in(TOKENIZER.decode_target(event.hypotheses[0].token_ids)) is None
    else:
        assert isinstance(event, FailedEvent)
        assert isinstance(event.error, StillBanned)


def test_a_phrase_that_begins_in_the_prefix_is_avoided_behind_it() -> None:
    prefix = ids_of("ba")
    searching = Searching(ids_of("ba de"), ids_of("ba de go"), ids_of("ba fi"))
    events = searching.run("ba de", prefix_ids=prefix)
    assert text_of(events) == "ba fi"
    assert searching.engine.requests[-1].options.prefix_ids == prefix


def test_an_engine_that_does_not_listen_is_asked_so_often_and_no_more() -> None:
    asked = list[int]()

    def stubborn(request: SegmentRequest) -> list[Event]:
        """Spells the same word in ever new ways."""
        asked.append(1)
        best = Hypothesis((*ids_of("ba"), *ids_of("de") * len(asked)), (), -1.0, "stop")
        return [FinishedEvent((best,), SegmentTimings(0.0, 0.0, 0.0))]

    searching = Searching()
    searching.engine.script = stubborn
    (event,) = searching.run("ba")
    assert isinstance(event, FailedEvent)
    assert isinstance(event.error, StillBanned)
    assert len(asked) <= MAX_ROUNDS


def test_every_hypothesis_that_is_answered_is_clean() -> None:
    def two(request: SegmentRequest) -> list[Event]:
        second = "fi" if request.options.banned_ids else "ba"
        found = [Hypothesis(ids_of(text), (), -1.0, "stop") for text in ("de", second)]
        return [FinishedEvent(tuple(found), SegmentTimings(0.0, 0.0, 0.0))]

    searching = Searching()
    searching.engine.script = two
    (event,) = searching.run("ba", num_hypotheses=2)
    assert isinstance(event, FinishedEvent)
    assert [TOKENIZER.decode_target(one.token_ids) for one in event.hypotheses] == ["de", "fi"]


def test_the_time_of_all_rounds_is_told() -> None:
    (event,) = Searching(ids_of("ba"), ids_of("de")).run("ba")
    assert isinstance(event, FinishedEvent)
    assert event.timings == SegmentTimings(0.1, pytest.approx(0.6), pytest.approx(0.8))


@pytest.mark.parametrize("failure", [EngineOverloaded(3.0), StepFailed("broken")])
def test_what_a_later_round_fails_with_is_the_segment_s_end(failure: Any) -> None:
    searching = Searching(ids_of("ba"), ids_of("de"))
    if isinstance(failure, EngineOverloaded):
        searching.engine.refuse, searching.engine.refuse_after = failure, 1
    else:
        script = searching.script
        searching.engine.script = lambda request: (
            [FailedEvent(failure)] if request.options.banned_ids else script(request)
        )
    (event,) = searching.run("ba")
    assert isinstance(event, FailedEvent)
    assert event.error is failure


def test_closing_cancels_the_round_at_hand() -> None:
    async def run() -> list[str]:
        engine = FakeEngine(gate=asyncio.Event())
        request = SegmentRequest(segment_id="a", source_ids=(75, 3), options=DecodingOptions())
        events = Demands(TOKENIZER, banned=BannedPhrases(TOKENIZER, ["ba"])).submit(engine, request)
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        waiting.cancel()
        await events.aclose()
        return engine.cancelled

    assert asyncio.run(run()) == ["a"]


def avoiding(request: SegmentRequest) -> list[Event]:
    """Translates to itself, and backwards where something is banned."""
    text = "".join(chr(token_id - 10) for token_id in request.source_ids[:-1])
    written = text[::-1] if request.options.banned_ids else text
    token_ids = tuple(ord(character) + 10 for character in written)
    best = Hypothesis(token_ids, (-0.5,) * len(token_ids), -1.0, "stop")
    timings = SegmentTimings(0.0, 0.0, 0.0)
    return [TokensEvent(token_ids[:2]), FinishedEvent((best,), timings)]


def test_over_http_each_segment_is_clean_and_a_stream_sends_it_in_one_piece() -> None:
    body = {"text": "One two. Three four.", "source": "en", "banned": ["two"]}
    client = app_client(served_model(FakeEngine(script=avoiding)))
    whole = client.post("/v1/translate", json=body).json()["translations"][0]["text"]
    assert whole == ".owt enO Three four."
    events = read_events(client.post("/v1/translate", json={**body, "stream": True}).text)
    assert streamed_texts(events, 1) == [whole]
    assert [one.data["text"] for one in events if one.name == "delta"] == [".owt enO", " ", "Three four."]


def test_over_http_phrases_that_cannot_be_avoided_are_a_problem_of_the_request() -> None:
    client = app_client()
    response = client.post("/v1/translate", json={"text": "One two.", "banned": ["two"]})
    assert (response.status_code, response.json()["code"]) == (422, "phrases_not_avoided")


def test_words_between_which_a_symbol_of_no_use_stood_are_looked_at_too() -> None:
    """Here it is the engine's second copy of a span, which is never shown."""
    tokenizer = tiny_tokenizer(placeholders=2)
    symbol = tokenizer.placeholder_id(tokenizer.placeholders[0])
    ba, de = (tokenizer.encode_target(word)[:-1] for word in ("ba", "de"))
    found = Hypothesis((symbol, *ba, symbol, *de), (), -1.0, "stop")
    engine = FakeEngine(script=lambda _: [FinishedEvent((found,), SegmentTimings(0.1, 0.2, 0.4))])
    copied = CopiedIds(frozenset({symbol}), frozenset({symbol}))
    request = SegmentRequest(segment_id="a", source_ids=(5, 3), options=DecodingOptions(prefix_ids=()))

    async def last(*banned: str) -> Event:
        demands = Demands(tokenizer, banned=BannedPhrases(tokenizer, banned))
        masked = mask("{x} go", [(0, 3)], tokenizer.placeholders)
        return [event async for event in demands.submit(engine, request, copied, masked)][-1]

    assert isinstance(asyncio.run(last("fi")), FinishedEvent)
    event = asyncio.run(last("ba de"))
    assert isinstance(event, FailedEvent)
    assert isinstance(event.error, StillBanned)
