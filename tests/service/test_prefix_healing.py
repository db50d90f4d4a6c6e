"""A prefix that ends within a word is spelled as the model would; the text begins with it in any case."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.decoding import DecodingOptions, Hypothesis
from model.decoding.options import OptionError
from service.demands import Demands, Unfit
from service.engine.errors import EngineOverloaded, SegmentTooLarge
from service.engine.request import (
    Event,
    FailedEvent,
    FinishedEvent,
    SegmentRequest,
    SegmentTimings,
    TokensEvent,
)
from service.phrases import BannedPhrases, exact_ids
from service.prefix_healing import (
    MAX_QUESTIONS,
    MAX_TOKENS_READ,
    held_ids,
    most_questions,
    next_spelling,
    whole_words,
)
from service.verified_events import StillBanned
from tests.builders import tiny_sentences, tiny_tokenizer
from tests.fakes import FakeEngine

TOKENIZER = tiny_tokenizer("unigram")
TIMINGS = SegmentTimings(0.0, 0.1, 0.5)
TOKEN_IDS = st.integers(4, TOKENIZER.target_vocab_size - 1)


def ids_of(text: str) -> tuple[int, ...]:
    return exact_ids(TOKENIZER, text)


class Writing:
    """An engine that would write `text`, token by token; asked for one token more, it names the next of them
    behind some unlikely ones, as long as what is forced is what it would have written itself."""

    def __init__(self, token_ids: Sequence[int], **options: Any) -> None:
        self.token_ids = tuple(token_ids)
        self.engine = FakeEngine(script=self.script, **options)

    def script(self, request: SegmentRequest) -> list[Event]:
        prefix = request.options.prefix_ids
        if request.options.max_length == len(prefix) + 1:
            following = self.token_ids[len(prefix) : len(prefix) + 1]
            texts = [(*prefix, 5), (*prefix, *following)]
            return [FinishedEvent(tuple(Hypothesis(ids, (), -1.0, "length") for ids in texts), TIMINGS)]
        rest = self.token_ids[len(prefix) :] if self.token_ids[: len(prefix)] == prefix else (7,)
        best = Hypothesis((*prefix, *rest), (), -1.0, "stop")
        return [TokensEvent(prefix), FinishedEvent((best,), TIMINGS)]

    def run(self, prefix: str, *banned: str, **options: Any) -> list[Event]:
        asked = DecodingOptions(prefix_ids=ids_of(prefix), **options)
        request = SegmentRequest(
            segment_id="a", source_ids=(5, 3), options=asked, stream=True, want_attention=True
        )
        phrases = BannedPhrases(TOKENIZER, banned) if banned else None

        async def collect() -> list[Event]:
            demands = Demands(TOKENIZER, prefix, phrases)
            return [event async for event in demands.submit(self.engine, request)]

        return asyncio.run(collect())

    @property
    def spelled(self) -> tuple[int, ...]:
        return self.engine.requests[-1].options.prefix_ids


def cut_differently() -> tuple[str, str]:
    """A word of the tokenizer's own kind, and a beginning of it whose tokens the word does not begin with."""
    words = {word for sentence in tiny_sentences(50) for word in sentence.rstrip(".!?").split()}
    beginnings = ((word, word[:length]) for word in sorted(words) for length in range(1, len(word)))
    return next(
        (word, part) for word, part in beginnings if ids_of(word)[: len(ids_of(part))] != ids_of(part)
    )


def test_the_last_word_is_cut_as_the_model_goes_on() -> None:
    word, part = cut_differently()
    whole, prefix = ids_of(f"ba de {word}"), f"ba de {part}"
    writing = Writing(whole)
    events = writing.run(prefix)
    assert TOKENIZER.decode_target(writing.spelled).startswith(prefix)
    assert whole[: len(writing.spelled)] == writing.spelled
    assert isinstance(events[-1], FinishedEvent)
    assert events[-1].hypotheses[0].token_ids == whole
    assert events[0] == TokensEvent(writing.spelled)


@given(TOKEN_IDS, st.lists(TOKEN_IDS, max_size=7), st.data())
def test_the_text_begins_with_the_prefix_whatever_the_model_would_write(
    first: int, more: list[int], data: st.DataObject
) -> None:
    """The prefix is one that the model would write, or another."""
    text = TOKENIZER.decode_target([first, *more])
    prefix = data.draw(
        st.one_of(st.text("abdefi ", max_size=5), st.just(text[: data.draw(st.integers(0, 9))]))
    )
    if not prefix or TOKENIZER.decode_target(TOKENIZER.encode_target(prefix)) != prefix:
        return
    writing = Writing([first, *more])
    event = writing.run(prefix)[-1]
    assert isinstance(event, FinishedEvent)
    assert TOKENIZER.decode_target(event.hypotheses[0].token_ids).startswith(prefix)


@given(st.text("abdefiu ", min_size=1, max_size=8), st.lists(st.lists(TOKEN_IDS, max_size=4), max_size=5))
def test_what_is_chosen_agrees_with_the_prefix_and_brings_it_on(prefix: str, found: list[list[int]]) -> None:
    chosen = next_spelling(TOKENIZER, prefix, (), map(tuple, found))
    texts = [TOKENIZER.decode_target(token_ids) for token_ids in found]
    agreeing = [text.startswith(prefix) or (text != "" and prefix.startswith(text)) for text in texts]
    assert chosen == (tuple(found[agreeing.index(True)]) if any(agreeing) else None)


def test_only_a_prefix_that_ends_with_a_letter_or_a_digit_is_asked_about() -> None:
    assert whole_words(TOKENIZER, "ba de") == ids_of("ba")
    assert whole_words(TOKENIZER, "ba") == ()
    assert whole_words(TOKENIZER, "ba de,") is None
    writing = Writing(ids_of("ba, de"))
    writing.run("ba,")
    assert [request.options.prefix_ids for request in writing.engine.requests] == [ids_of("ba,")]


def test_questions_are_plain_and_the_segment_is_as_it_was_asked_for() -> None:
    writing = Writing(ids_of("ba de fi"))
    writing.run("ba de", strategy="greedy", repetition_penalty=1.5, max_length_ratio=9.0)
    *questions, last = writing.engine.requests
    assert questions
    for question in questions:
        assert (question.stream, question.draft, question.want_attention) == (False, False, False)
        assert question.options.repetition_penalty == 1.5
        assert question.options.max_length_ratio == 9.0
    assert (last.stream, last.want_attention, last.options.strategy) == (True, True, "greedy")


def test_all_rounds_after_the_first_keep_its_place() -> None:
    writing = Writing(ids_of("ba de"))
    writing.run("ba de")
    first, *later = (request.accepted_at for request in writing.engine.requests)
    assert first is None
    assert later
    assert None not in later


def test_the_time_of_the_questions_counts() -> None:
    writing = Writing(ids_of("ba de"))
    event = writing.run("ba de")[-1]
    assert isinstance(event, FinishedEvent)
    rounds = len(writing.engine.requests)
    assert event.timings.total_seconds == pytest.approx(0.5 * rounds)


def test_where_a_question_does_not_fit_the_prefix_is_cut_as_any_text_is() -> None:
    class Narrow(FakeEngine):
        def submit(self, request: SegmentRequest) -> Any:
            if request.options.rows > 4:
                raise SegmentTooLarge("beam_size", 4, request.options.rows)
            return super().submit(request)

    writing = Writing(ids_of("ba de"))
    writing.engine = Narrow(script=writing.script)
    writing.run("ba d")
    assert [request.options.prefix_ids for request in writing.engine.requests] == [ids_of("ba d")]


def spelled_longer(prefix: str) -> tuple[int, ...]:
    """A beginning of the prefix in one piece, then each letter in a piece of its own."""
    pieces = TOKENIZER.target_pieces(range(TOKENIZER.target_vocab_size))
    length = next(length for length in range(1, len(prefix)) if f"▁{prefix[:length]}" in pieces)
    return tuple(pieces.index(piece) for piece in (f"▁{prefix[:length]}", *prefix[length:]))


def test_a_long_last_word_is_asked_about_at_its_end_alone() -> None:
    usual = ids_of("ba " + "x" * 100)
    most = most_questions(usual)
    assert 1 <= most < MAX_QUESTIONS
    assert held_ids(TOKENIZER, "ba " + "x" * 100, usual) == usual[:-most]
    writing = Writing(usual)
    event = writing.run("ba " + "x" * 100)[-1]
    *questions, last = writing.engine.requests
    assert len(usual) > 50
    assert 1 <= len(questions) <= most
    assert min(len(question.options.prefix_ids) for question in questions) == len(usual) - most
    assert sum(len(question.options.prefix_ids) for question in questions) <= MAX_TOKENS_READ
    assert last.options.prefix_ids == usual
    assert isinstance(event, FinishedEvent)


def test_after_so_many_questions_the_prefix_is_cut_as_any_text_is() -> None:
    """The model would spell each letter in a piece of its own."""
    prefix = "Babababababa"
    writing = Writing(spelled_longer(prefix))
    writing.run(prefix)
    assert len(writing.token_ids) > MAX_QUESTIONS
    assert len(writing.engine.requests) == MAX_QUESTIONS + 1
    assert writing.spelled == ids_of(prefix)


@pytest.mark.parametrize("is_engine_s", [False, True])
def test_where_the_model_s_own_spelling_leaves_no_room_the_usual_one_is_taken(is_engine_s: bool) -> None:
    class Short(FakeEngine):
        """With a limit of its own, as by required phrases or the source's length."""

        def submit(self, request: SegmentRequest) -> Any:
            prefix_ids = request.options.prefix_ids
            if request.options.rows == 4 and len(prefix_ids) > len(ids_of("Baba")):
                raise OptionError("prefix_ids", "at most 2 tokens, the length limit", len(prefix_ids))
            return super().submit(request)

    own = spelled_longer("Baba")
    assert TOKENIZER.decode_target(own) == "Baba"
    assert len(own) > len(ids_of("Baba"))
    writing = Writing(own)
    if is_engine_s:
        writing.engine = Short(script=writing.script)
    event = writing.run("Baba", max_length=None if is_engine_s else len(ids_of("Baba")))[-1]
    assert isinstance(event, FinishedEvent)
    assert writing.spelled == ids_of("Baba")


def test_what_the_segment_itself_is_refused_for_is_its_end() -> None:
    class Full(FakeEngine):
        def submit(self, request: SegmentRequest) -> Any:
            if request.options.rows == 4:
                raise OptionError("prefix_ids", "at most 1 tokens", 2)
            return super().submit(request)

    writing = Writing(ids_of("ba de"))
    writing.engine = Full(script=writing.script)
    (event,) = writing.run("ba de")
    assert isinstance(event, FailedEvent)
    assert isinstance(event.error, Unfit)
    overloaded = Writing(ids_of("ba de"), refuse=EngineOverloaded(1.0), refuse_after=1)
    (event,) = overloaded.run("ba de")
    assert isinstance(event, FailedEvent)
    assert isinstance(event.error, EngineOverloaded)


def test_banned_phrases_are_kept_out_behind_a_healed_prefix_too() -> None:
    """The engine does not listen, so there is no answer rather than one with the phrase."""
    writing = Writing(ids_of("ba de fi"))
    (event,) = writing.run("ba d", "fi")
    assert isinstance(event, FailedEvent)
    assert isinstance(event.error, StillBanned)
