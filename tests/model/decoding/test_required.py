"""Required phrases: followed token by token, written in time, refused where there is no room."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from model.decoding.demands import check_room, check_tokens
from model.decoding.options import DecodingOptions, OptionError
from model.decoding.required import RequiredPhrases
from model.decoding.strategy import Task
from model.decoding.strategy_set import StrategySet
from model.reference_rules import contains, ends_with, num_missing
from tests.builders import tiny_config
from tests.model.decoding.tables import CPU, VOCABULARY, Game, log_table, random_table

# Two tokens only, so that phrases overlap themselves, each other and the target in every way.
PHRASES = st.lists(st.lists(st.integers(1, 2), min_size=1, max_size=5).map(tuple), min_size=1, max_size=3)
TARGET = st.lists(st.integers(1, 2), max_size=8)


@given(PHRASES, TARGET)
@example(
    [(1, 1, 2, 1, 1, 1, 3)], [1, 1, 2, 1, 1, 1, 2]
)  # falls back twice: to 1 1, and from there on to 1 1 2
def test_progress_followed_token_by_token_is_what_the_whole_target_says(
    phrases: list[tuple[int, ...]], target: list[int]
) -> None:
    required = RequiredPhrases(phrases)
    progress = required.after_all(target)
    assert required.num_missing(progress) == num_missing(target, phrases)
    for phrase, written in zip(required.phrases, progress.written, strict=True):
        assert (written == len(phrase)) == contains(target, phrase)
        assert written == len(phrase) or ends_with(target, phrase[:written])


@given(PHRASES, TARGET)
@example([(1, 2, 1, 3)], [1, 2, 1])  # 2 goes on from the 1 that it ends with
def test_some_next_token_always_leaves_less_missing_and_no_other_writes_on_a_phrase(
    phrases: list[tuple[int, ...]], target: list[int]
) -> None:
    required = RequiredPhrases(phrases)
    progress = required.after_all(target)
    missing, wanted = required.num_missing(progress), required.next_tokens(progress)
    after = {token: required.num_missing(required.after(progress, token)) for token in range(1, 5)}
    assert not missing or min(after[token] for token in wanted) < missing
    absent = num_missing([*target, 9], phrases)  # a token that belongs to none
    assert all(after[token] == absent for token in after if token not in wanted)


def best(max_length: int, seed: int = 3, **options: Any) -> tuple[int, ...]:
    game = Game(StrategySet(VOCABULARY, CPU), random_table(seed, 9))
    game.add(0, DecodingOptions(**options), max_length)
    return game.run()[0].hypotheses[0].token_ids


@pytest.mark.parametrize("beam_size", [1, 2, 6])
def test_phrases_that_the_model_would_never_say_are_said(beam_size: int) -> None:
    # </s> is all but certain from the start on.
    table = log_table({(): [0.999, 0.0005, 0.0005, 0.0, 0.0]})
    game = Game(StrategySet(VOCABULARY, CPU), table)
    options = DecodingOptions(beam_size=beam_size, num_hypotheses=beam_size, required_ids=((3, 3), (4, 1)))
    game.add(0, options, 7)
    for hypothesis in game.run()[0].hypotheses:
        assert contains(hypothesis.token_ids, (3, 3))
        assert contains(hypothesis.token_ids, (4, 1))


def test_with_just_enough_room_nothing_but_the_phrases_is_said() -> None:
    tokens = best(5, required_ids=((7, 8, 7), (5, 5)), beam_size=3)
    assert tokens in [(7, 8, 7, 5, 5), (5, 5, 7, 8, 7)]


def test_phrases_may_share_tokens_with_each_other_and_with_the_prefix() -> None:
    assert best(3, required_ids=((5, 6), (6, 7)), prefix_ids=(5, 6), beam_size=2) == (5, 6, 7)
    assert best(2, required_ids=((5, 6),), prefix_ids=(5,), beam_size=2) == (5, 6)


def test_a_phrase_is_said_where_the_model_likes_it_best() -> None:
    # (2) costs 0.01 at once and 0.9 after 1.
    likely = [0.03, 0.96, 0.01]
    table = log_table({(): likely, (1,): [0.09, 0.01, 0.9], (1, 2): [0.98, 0.01, 0.01]})
    game = Game(StrategySet(VOCABULARY, CPU), table)
    game.add(0, DecodingOptions(beam_size=2, required_ids=((2,),), length_penalty=0.0), 6)
    (found,) = game.run()[0].hypotheses
    assert found.token_ids == (1, 2)
    assert found.score == pytest.approx(math.log(0.96 * 0.9 * 0.98))


def test_what_does_not_fit_under_the_limit_is_refused() -> None:
    options = DecodingOptions(required_ids=((5, 6), (7,)), prefix_ids=(4, 5))
    check_room(options, 4)
    with pytest.raises(OptionError, match=r"required_ids must be at most 1 more tokens .* got 2"):
        check_room(options, 3)
    with pytest.raises(OptionError, match=r"prefix_ids must be at most 1 tokens, the length limit, got 2"):
        check_room(options, 1)
    strategy = StrategySet(VOCABULARY, CPU)
    with pytest.raises(OptionError, match="required_ids"):
        strategy.add(Task(0, options, 3))
    assert list(strategy.keys) == []


@pytest.mark.parametrize("field", ["prefix_ids", "banned_ids", "required_ids"])
@pytest.mark.parametrize("token_id", [0, 2, 3, 24, 99])
def test_tokens_that_are_never_text_or_unknown_are_refused(field: str, token_id: int) -> None:
    config = tiny_config()  # 24 tokens, of which 0 pads, 2 starts and 3 ends
    value = (5, token_id) if field == "prefix_ids" else ((5,), (6, token_id))
    with pytest.raises(OptionError, match=field) as caught:
        check_tokens(DecodingOptions(**{field: value}), config)  # type: ignore[arg-type]
    assert (caught.value.field, caught.value.value) == (field, token_id)
