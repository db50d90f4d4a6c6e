"""A stream that is decoded again: nothing is sent twice, nothing that was sent is changed."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engine.replay import Deviation, SentTokens

TOKENS = st.lists(st.integers(0, 5), max_size=12)


def pieces(tokens: list[int], cuts: list[int]) -> list[tuple[int, ...]]:
    places = sorted({0, len(tokens), *(cut % (len(tokens) + 1) for cut in cuts)})
    return [tuple(tokens[start:end]) for start, end in itertools.pairwise(places)]


@given(tokens=TOKENS, lives=st.lists(st.tuples(st.lists(st.integers(0, 12)), st.integers(0, 12)), max_size=4))
def test_whatever_is_decoded_again_each_token_is_sent_once(
    tokens: list[int], lives: list[tuple[list[int], int]]
) -> None:
    sent, received = SentTokens(), list[int]()
    for cuts, death in lives:
        for piece in pieces(tokens, cuts)[:death]:
            received += sent.take(piece)
        sent.start_again()
        assert received == tokens[: len(received)]
    received += sent.take(tokens)
    sent.check_answer(tokens)
    assert received == tokens


@given(first=TOKENS, second=TOKENS, cuts=st.lists(st.integers(0, 12)))
def test_a_decoding_that_differs_is_noticed_before_anything_wrong_is_sent(
    first: list[int], second: list[int], cuts: list[int]
) -> None:
    sent = SentTokens()
    received = list(sent.take(first))
    sent.start_again()
    try:
        for piece in pieces(second, cuts):
            received += sent.take(piece)
        sent.check_answer(second)
    except Deviation:
        assert second[: len(first)] != first
        assert received == first
    else:
        assert second[: len(first)] == first
        assert received == second


def test_an_answer_that_ends_before_what_was_sent_deviates() -> None:
    sent = SentTokens()
    sent.take((5, 6, 7))
    sent.start_again()
    assert sent.take((5, 6)) == ()
    with pytest.raises(Deviation):
        sent.check_answer((5, 6))
