"""The rules on hand-written numbers: what each option changes, alone, in greedy search and beyond."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.decoding.constraints import Constraints, TargetVocabulary
from model.decoding.history import History
from model.decoding.options import DecodingOptions, OptionError
from model.decoding.strategy import Hypothesis
from model.decoding.strategy_set import StrategySet
from model.reference_rules import contains, num_missing
from tests.model.decoding.any_options import LONGEST, NUM_TOKENS, RANDOM_VOCABULARY, any_options
from tests.model.decoding.tables import (
    CPU,
    VOCABULARY,
    Game,
    Table,
    every_hypothesis,
    log_table,
    random_table,
)

KINDS = [
    {"strategy": "greedy"},
    {"beam_size": 1},
    {"beam_size": 3},
    {"strategy": "sample", "seed": 1, "top_k": 1},
]
# Left to itself it says 1 2 1 2 1 2 ... : </s> is never the likeliest.
ECHO = {(): [0.1, 0.5, 0.3, 0.1]}
for _length in range(8):
    _row = tuple((1, 2)[i % 2] for i in range(_length + 1))
    ECHO[_row] = [0.3, 0.05, 0.45, 0.2] if _row[-1] == 1 else [0.3, 0.45, 0.05, 0.2]


def best_of(table: Table, max_length: int = 6, **options: Any) -> Hypothesis:
    game = Game(StrategySet(VOCABULARY, CPU), table)
    game.add(0, DecodingOptions(**options), max_length)
    return game.run()[0].hypotheses[0]


def greedy(max_length: int = 6, **options: Any) -> tuple[int, ...]:
    return best_of(log_table(ECHO), max_length, strategy="greedy", **options).token_ids


def test_left_to_itself_the_table_echoes() -> None:
    assert greedy() == (1, 2, 1, 2, 1, 2)


def test_no_ngram_is_said_twice() -> None:
    assert greedy(no_repeat_ngram_size=1) == (1, 2)  # 1 and 2 are used up, </s> (0.3) beats 3 (0.2)
    assert greedy(no_repeat_ngram_size=2) == (1, 2, 1)
    assert greedy(no_repeat_ngram_size=3) == (1, 2, 1, 2)


def test_a_repeated_token_is_multiplied_by_its_penalty() -> None:
    # 0.45^2 = 0.2025 is less than 0.3, so the third token, a repeated 1, gives way to </s>; 0.45^1.4 is not.
    assert greedy(repetition_penalty=2.0) == (1, 2)
    assert greedy(repetition_penalty=1.4)[:3] == (1, 2, 1)
    assert greedy(repetition_penalty=1.6)[:3] == (1, 2)


def test_a_penalty_below_one_invites_repetition() -> None:
    table = log_table({(): [0.1, 0.9], (1,): [0.6, 0.4], (1, 1): [1.0, 0.0]})
    assert best_of(table, strategy="greedy").token_ids == (1,)
    assert best_of(table, strategy="greedy", repetition_penalty=0.5).token_ids[:2] == (
        1,
        1,
    )  # sqrt(0.4) > 0.6


@pytest.mark.parametrize("kind", KINDS[:2])
def test_a_penalty_counts_in_the_score_and_not_in_the_log_probabilities(kind: dict[str, Any]) -> None:
    table = log_table({(): [0.01, 0.98, 0.01], (1,): [0.01, 0.98, 0.01], (1, 1): [0.98, 0.01, 0.01]})
    best = best_of(table, repetition_penalty=1.5, **kind)
    assert best.token_ids == (1, 1)
    assert best.token_log_probs == pytest.approx((math.log(0.98),) * 2)
    assert best.score == pytest.approx((1 + 1.5 + 1) * math.log(0.98) / ((5 + 3) / 6))


@pytest.mark.parametrize("kind", KINDS)
def test_a_banned_token_or_sequence_is_not_said(kind: dict[str, Any]) -> None:
    table = log_table(ECHO)
    assert 1 not in best_of(table, banned_ids=((1,),), **kind).token_ids
    two = best_of(table, banned_ids=((1, 2),), min_length=2, **kind).token_ids
    assert not contains(two, (1, 2))
    parts = best_of(table, banned_ids=((1, 2),), no_repeat_ngram_size=1, min_length=3, **kind).token_ids
    assert sorted(parts) == [1, 2, 3]  # its tokens are free by themselves


def test_a_row_that_may_say_nothing_at_all_ends_even_before_its_least_length() -> None:
    bans = ((1,), (2,), (3,))
    best = best_of(log_table(ECHO), strategy="greedy", banned_ids=bans, min_length=4)
    assert (best.token_ids, best.finish_reason) == ((), "stop")
    assert best.score == pytest.approx(math.log(0.1))
    for kind in KINDS:
        spent = best_of(log_table(ECHO), no_repeat_ngram_size=1, min_length=5, **kind)
        assert (sorted(spent.token_ids), spent.finish_reason) == ([1, 2, 3], "stop")


@pytest.mark.parametrize("kind", KINDS)
def test_every_hypothesis_begins_with_the_prefix_at_the_models_own_price(kind: dict[str, Any]) -> None:
    table = log_table({**ECHO, (3,): [0.2, 0.3, 0.4, 0.1], (3, 1): [0.9, 0.04, 0.03, 0.03]})
    rules = {"repetition_penalty": 3.0, "no_repeat_ngram_size": 1, "banned_ids": ((3,), (3, 1))}
    best = best_of(table, prefix_ids=(3, 1), **rules, **kind)
    assert best.token_ids == (3, 1)
    assert best.token_log_probs == pytest.approx((math.log(0.1), math.log(0.3)))
    assert best.score == pytest.approx(math.log(0.1 * 0.3 * 0.9) / ((5 + 3) / 6))


def test_the_prefix_counts_in_the_length_limit_and_is_looked_back_at() -> None:
    assert greedy(max_length=3, prefix_ids=(1, 2)) == (1, 2, 1)
    assert greedy(max_length=2, prefix_ids=(1, 2)) == (1, 2)
    assert greedy(prefix_ids=(1, 2, 1), no_repeat_ngram_size=2) == (1, 2, 1)
    # A sequence that begins in the prefix may not be completed behind it.
    assert greedy(prefix_ids=(1,), banned_ids=((1, 2),)) == (1,)


def test_inside_its_prefix_a_beam_has_one_row() -> None:
    game = Game(StrategySet(VOCABULARY, CPU), log_table(ECHO))
    options = DecodingOptions(beam_size=3, num_hypotheses=3, prefix_ids=(2, 1))
    game.add(0, options, 6)
    game.step()
    game.step()
    alive = {prefix for _, prefix in game.rows if 0 not in prefix}
    assert alive == {(2, 1)}
    assert game.played[0].streamed == (2, 1)
    game.step()
    assert {prefix[:2] for _, prefix in game.rows} == {(2, 1)}


def test_the_likeliest_next_tokens_after_a_prefix_are_a_beam_of_one_more_token() -> None:
    table = log_table({**ECHO, (1, 2): [0.4, 0.3, 0.1, 0.2]})
    game = Game(StrategySet(VOCABULARY, CPU), table)
    game.add(0, DecodingOptions(beam_size=3, num_hypotheses=3, prefix_ids=(1, 2), max_length=3), 3)
    found = game.run()[0].hypotheses
    assert [(h.token_ids[2:], h.finish_reason) for h in found] == [
        ((), "stop"),
        ((1,), "length"),
        ((3,), "length"),
    ]


@settings(max_examples=150)
@given(st.integers(0, 10**6), any_options())
def test_constraints_hold_in_every_hypothesis(seed: int, options: DecodingOptions) -> None:
    game = Game(StrategySet(RANDOM_VOCABULARY, CPU), random_table(seed, NUM_TOKENS))
    game.add(0, options, LONGEST)
    for hypothesis in game.run()[0].hypotheses:
        tokens, held = hypothesis.token_ids, len(options.prefix_ids)
        assert tokens[:held] == options.prefix_ids
        assert all(contains(tokens, phrase) for phrase in options.required_ids)
        assert not any(contains(tokens[held:], phrase) for phrase in options.banned_ids)
        size = options.no_repeat_ngram_size
        for end in range(max(size, held + 1), len(tokens) + 1):
            assert not size or not contains(tokens[: end - 1], tokens[end - size : end])
        assert len(tokens) >= options.min_length or options.banned_ids or size
        assert len(tokens) + (hypothesis.finish_reason == "stop") <= LONGEST


@settings(max_examples=40)
@given(st.integers(0, 10**6), any_options())
def test_a_beam_of_one_is_greedy_under_any_rules(seed: int, options: DecodingOptions) -> None:
    shared = ("repetition_penalty", "no_repeat_ngram_size", "min_length", "prefix_ids")
    rules = {name: getattr(options, name) for name in shared}
    game = Game(StrategySet(RANDOM_VOCABULARY, CPU), random_table(seed, NUM_TOKENS))
    game.add(0, DecodingOptions(strategy="greedy", banned_ids=options.banned_ids, **rules), LONGEST)
    by_greedy = game.run()[0].hypotheses
    game.add(0, DecodingOptions(beam_size=1, banned_ids=options.banned_ids, **rules), LONGEST)
    by_beam = game.run()[0].hypotheses
    assert [dataclasses.replace(h, score=0.0) for h in by_beam] == [
        dataclasses.replace(h, score=0.0) for h in by_greedy
    ]
    assert by_beam[0].score == pytest.approx(by_greedy[0].score)


@settings(max_examples=40)
@given(
    st.integers(0, 10**6),
    st.lists(st.lists(st.integers(1, 2), min_size=1, max_size=3).map(tuple), max_size=2).map(tuple),
    st.lists(st.integers(1, 2), max_size=2).map(tuple),
    st.integers(0, 2),
)
def test_under_rules_too_a_beam_as_wide_as_all_hypotheses_finds_the_true_optimum(
    seed: int, phrases: tuple[tuple[int, ...], ...], prefix: tuple[int, ...], min_length: int
) -> None:
    table = random_table(seed, num_tokens=3)
    wide: dict[str, Any] = {"beam_size": 32, "patience": 4.0, "prefix_ids": prefix, "min_length": min_length}
    for rule in ("banned_ids", "required_ids"):
        options = DecodingOptions(**{rule: phrases}, **wide)

        def holds(tokens: tuple[int, ...], rule: str = rule) -> bool:
            if rule == "required_ids":
                behind = range(len(prefix), len(tokens) + 1)
                fits = all(n + num_missing(tokens[:n], phrases) <= 4 for n in behind)
                return fits and all(contains(tokens, phrase) for phrase in phrases)
            ends = range(len(prefix) + 1, len(tokens) + 1)
            return not any(tokens[:end][-len(phrase) :] == phrase for end in ends for phrase in phrases)

        game = Game(StrategySet(VOCABULARY, CPU), table)
        try:
            game.add(0, options, 4)
        except OptionError:
            continue  # no room: refused, and tested elsewhere
        found = game.run()[0].hypotheses[0]
        every = every_hypothesis(table, options, max_length=4, num_tokens=3)
        true = [one for one in every if one[1][: len(prefix)] == prefix and holds(one[1])]
        if true:  # else every row was let go before its least length
            assert (found.token_ids, found.finish_reason) == true[0][1:]
            assert found.score == pytest.approx(true[0][0])


def test_rules_that_nobody_asks_for_look_at_no_history_and_copy_nothing() -> None:
    log_probs = torch.zeros(2, 5)
    constraints = Constraints(TargetVocabulary(0, (4,)), [DecodingOptions(), DecodingOptions(min_length=2)])

    def history() -> History:
        raise AssertionError("nobody asked")

    scores = constraints.apply(log_probs, [1, 1], history)
    assert scores.own is scores.counted is log_probs
    assert log_probs[:, 4].tolist() == [float("-inf")] * 2
    assert log_probs[:, 0].tolist() == [0.0, float("-inf")]
