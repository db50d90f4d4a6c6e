"""Whatever a stream has shown and taken back of a segment, in the end it shows the best hypothesis's text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.decoding import Hypothesis
from model.tokenizer import Tokenizer
from service.engine.request import DraftEvent, FinishedEvent, SegmentTimings, TokensEvent
from service.segment_text import SegmentText
from tests.builders import tiny_tokenizer
from tests.service.test_detokenizer import TOKENIZERS, any_ids

PLAIN = tiny_tokenizer("unigram")


def finished(*token_ids: int) -> FinishedEvent:
    best = Hypothesis(token_ids, (-0.5,) * len(token_ids), -1.0, "stop")
    return FinishedEvent((best,), SegmentTimings(0.0, 0.0, 0.0))


def ids_of(text: str, tokenizer: Tokenizer = PLAIN) -> tuple[int, ...]:
    return tuple(tokenizer.encode_target(text)[:-1])


@pytest.mark.parametrize("name", TOKENIZERS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_after_any_drafts_what_is_shown_is_the_answer(name: str, data: st.DataObject) -> None:
    """Drafts that have nothing in common, end within a character, begin or end with white space."""
    tokenizer = TOKENIZERS[name]
    drafts = data.draw(st.lists(any_ids(tokenizer), max_size=6))
    best = data.draw(any_ids(tokenizer))
    if drafts and data.draw(st.booleans()):
        best = drafts[-1] + best  # as a search does that has not changed its mind
    segment, shown = SegmentText(tokenizer), ""
    for event in [*map(DraftEvent, map(tuple, drafts)), finished(*best)]:
        change = segment.take(event)
        assert 0 <= change.drop <= len(shown)
        shown = shown[: len(shown) - change.drop] + change.text
        assert shown == segment.text == shown.strip()
    assert shown == tokenizer.decode_target(best).strip()


@pytest.mark.parametrize("name", TOKENIZERS)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_certain_tokens_in_any_portions_are_never_taken_back(name: str, data: st.DataObject) -> None:
    tokenizer = TOKENIZERS[name]
    portions = data.draw(st.lists(any_ids(tokenizer), max_size=5))
    rest = data.draw(any_ids(tokenizer))
    segment = SegmentText(tokenizer)
    whole = [token_id for portion in portions for token_id in portion] + rest
    changes = [segment.take(TokensEvent(tuple(portion))) for portion in portions]
    changes.append(segment.take(finished(*whole)))
    assert {change.drop for change in changes} == {0}
    assert "".join(change.text for change in changes) == tokenizer.decode_target(whole).strip()


def test_only_what_differs_is_taken_back() -> None:
    segment = SegmentText(PLAIN)
    segment.take(DraftEvent(ids_of("ba de fi")))
    change = segment.take(DraftEvent(ids_of("ba do")))
    assert (change.drop, change.text) == (len("e fi"), "o")


def test_a_mark_that_combines_with_what_is_shown_takes_nothing_back() -> None:
    segment = SegmentText(PLAIN)
    segment.take(DraftEvent(ids_of("Bx")))
    change = segment.take(finished(*ids_of("Bx\u0331")))
    assert (change.drop, change.text) == (0, "\u0331")


def test_tokens_that_the_answer_does_not_begin_with_are_a_fault_of_the_engine() -> None:
    segment = SegmentText(PLAIN)
    segment.take(TokensEvent(ids_of("ba")))
    with pytest.raises(RuntimeError, match="does not begin with"):
        segment.take(finished(*ids_of("de")))


def test_certain_tokens_among_drafts_are_a_fault_of_the_engine() -> None:
    segment = SegmentText(PLAIN)
    segment.take(DraftEvent(ids_of("ba")))
    with pytest.raises(RuntimeError, match="in a draft"):
        segment.take(TokensEvent(ids_of("ba")))
