"""Beam search against hand-written numbers, brute force and greedy search."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.decoding.beam import BeamStrategy
from model.decoding.constraints import TargetVocabulary
from model.decoding.greedy import GreedyStrategy
from model.decoding.options import DecodingOptions
from model.decoding.strategy import Task
from model.decoding.strategy_set import StrategySet
from model.step_scores import DenseScores
from tests.model.decoding.tables import (
    CPU,
    EOS,
    VOCABULARY,
    Game,
    Played,
    Table,
    every_hypothesis,
    log_table,
    play,
    random_table,
)


def beam_strategy() -> BeamStrategy:
    return BeamStrategy(VOCABULARY, CPU)


# Greedy takes 1 (0.5) and then at best 0.4; going through 2 is worth 0.45 x 0.9.
DETOUR = log_table({(): [0.05, 0.5, 0.45], (1,): [0.4, 0.3, 0.3], (2,): [0.9, 0.05, 0.05]})


def test_a_beam_of_two_finds_what_greedy_misses() -> None:
    options = DecodingOptions(beam_size=2, num_hypotheses=2, length_penalty=0.0)
    (played,) = play(beam_strategy(), DETOUR, (options, 10))
    first, second = played.hypotheses
    assert (first.token_ids, second.token_ids) == ((2,), (1,))
    assert first.score == pytest.approx(math.log(0.45) + math.log(0.9))
    assert second.score == pytest.approx(math.log(0.5) + math.log(0.4))
    assert first.token_log_probs == pytest.approx((math.log(0.45),))
    assert first.finish_reason == "stop"


def test_an_end_beyond_the_first_b_candidates_is_dropped() -> None:
    # Candidates in order: 1 (0.5), 2 (0.45), </s> (0.05): the end is third and the beam is two wide.
    options = DecodingOptions(beam_size=2, num_hypotheses=2, length_penalty=0.0)
    (played,) = play(beam_strategy(), DETOUR, (options, 10))
    assert () not in [hypothesis.token_ids for hypothesis in played.hypotheses]


def test_the_length_penalty_is_that_of_wu_et_al() -> None:
    # Sums: (1) -> -1.5, (2, 2) -> -1.6. The longer wins once ((5+3)/(5+2))^alpha > 1.6/1.5: from 0.483 on.
    half, rest = math.exp(-0.75), math.exp(-1.6 / 3)
    table = log_table(
        {
            (): [1e-4, half, 0.52, 1e-4],
            (1,): [half, 0.1, 1e-4, 1e-4],
            (2,): [1e-4, 1e-4, math.exp(-1.6) / 0.52 / rest, 1e-4],
            (2, 2): [rest, 1e-4, 1e-4, 1e-4],
        }
    )

    def best(alpha: float) -> Played:
        return play(beam_strategy(), table, (DecodingOptions(beam_size=2, length_penalty=alpha), 10))[0]

    assert best(0.45).hypotheses[0].token_ids == (1,)
    assert best(0.51).hypotheses[0].token_ids == (2, 2)
    assert best(0.45).hypotheses[0].score == pytest.approx(-1.5 / ((5 + 2) / 6) ** 0.45)
    assert best(0.51).hypotheses[0].score == pytest.approx(-1.6 / ((5 + 3) / 6) ** 0.51)


def test_patience_waits_for_a_late_winner() -> None:
    # Two short hypotheses finish first; the longer one, of higher normalised score, comes a step later.
    table = log_table(
        {
            (): [0.001, 0.5, 0.499],
            (1,): [0.34, 0.65, 0.01],
            (2,): [0.35, 0.01, 0.64],
            (1, 1): [0.99, 0.005, 0.005],
            (2, 2): [0.01, 0.01, 0.98],
        }
    )

    def best(patience: float) -> tuple[int, ...]:
        options = DecodingOptions(beam_size=4, patience=patience, length_penalty=0.0, num_hypotheses=2)
        return play(beam_strategy(), table, (options, 10))[0].hypotheses[0].token_ids

    assert best(0.5) in {(1,), (2,)}
    assert best(1.0) == (1, 1)


def test_at_the_length_limit_live_hypotheses_are_finished_as_they_are() -> None:
    options = DecodingOptions(beam_size=2, num_hypotheses=2, length_penalty=1.0)
    (played,) = play(beam_strategy(), DETOUR, (options, 1))
    assert [h.token_ids for h in played.hypotheses] == [(1,), (2,)]
    assert {h.finish_reason for h in played.hypotheses} == {"length"}
    assert played.hypotheses[0].score == pytest.approx(math.log(0.5))  # one token, no `</s>`
    assert played.num_steps == 1


# (1) ends with 0.5 x 0.5 = 0.25; (2) goes on with 0.3, and ends with 0.3 x 0.95 = 0.285.
OVERTAKING = log_table(
    {(): [0.001, 0.5, 0.3], (1,): [0.5, 0.01, 0.01], (2,): [0.001, 0.01, 0.95], (2, 2): [1.0, 0.0, 0.0]}
)


def test_the_search_goes_on_while_a_live_row_could_still_win() -> None:
    options = DecodingOptions(beam_size=2, patience=2.0, length_penalty=0.0)
    (played,) = play(beam_strategy(), OVERTAKING, (options, 10))
    assert played.hypotheses[0].token_ids == (2, 2)


def test_the_search_stops_once_no_live_row_can_win() -> None:
    # As before, but (2, 2) is worth 0.3 x 0.8 = 0.24 at most: after (1) ended, nothing can beat its 0.25.
    table = log_table({(): [0.001, 0.5, 0.3], (1,): [0.5, 0.01, 0.01], (2,): [0.001, 0.01, 0.8]})
    options = DecodingOptions(beam_size=2, patience=2.0, length_penalty=0.0)
    (played,) = play(beam_strategy(), table, (options, 10))
    assert (played.hypotheses[0].token_ids, played.num_steps) == ((1,), 2)
    # The same with two wanted has to go on for the second.
    (played,) = play(beam_strategy(), table, (dataclasses.replace(options, num_hypotheses=2), 10))
    assert [h.token_ids for h in played.hypotheses] == [(1,), (2, 2)]


def test_min_length_bars_the_end() -> None:
    options = DecodingOptions(beam_size=2, num_hypotheses=2, min_length=2, length_penalty=0.0)
    (played,) = play(beam_strategy(), DETOUR, (options, 10))
    assert all(len(h.token_ids) == 2 and h.finish_reason == "stop" for h in played.hypotheses)


def test_tokens_that_are_never_text_are_not_generated() -> None:
    strategy = BeamStrategy(TargetVocabulary(eos_id=EOS, never_ids=(1, 4)), CPU)
    options = DecodingOptions(beam_size=3, num_hypotheses=3)
    (played,) = play(strategy, random_table(3, 6), (options, 8))
    assert not {1, 4} & {token for h in played.hypotheses for token in h.token_ids}


def test_equal_sums_are_taken_by_lower_row_then_lower_token() -> None:
    strategy = beam_strategy()
    strategy.add(Task(0, DecodingOptions(beam_size=3), 10))
    strategy.select(DenseScores(torch.log(torch.tensor([[0.01, 0.33, 0.33, 0.33]] * 3))))
    flat = torch.log(torch.tensor([[0.01, 0.33, 0.33, 0.33]] * 3, dtype=torch.float64))
    selection = strategy.select(DenseScores(flat))
    assert selection.parents is not None
    assert selection.parents.tolist() == [0, 0, 0]
    assert selection.token_ids.tolist() == [1, 2, 3]


def test_numbers_that_are_none_fail_their_own_segment_only() -> None:
    strategy = beam_strategy()
    for key, beam_size in enumerate((2, 3, 1)):
        strategy.add(Task(key, DecodingOptions(beam_size=beam_size), 10))
    log_probs = torch.log(torch.tensor([[0.1, 0.3, 0.3, 0.2, 0.1]] * 6))
    log_probs[2, 3] = float("nan")  # the first row of segment 1
    selection = strategy.select(DenseScores(log_probs))
    assert selection.failed == (1,)
    assert list(strategy.keys) == [0, 2]


def test_a_segment_with_nothing_left_to_choose_fails_rather_than_hangs() -> None:
    strategy = BeamStrategy(TargetVocabulary(eos_id=0, never_ids=(1, 2)), CPU)
    strategy.add(Task(0, DecodingOptions(beam_size=2, min_length=1), 5))
    assert strategy.select(DenseScores(torch.log(torch.full((2, 3), 1 / 3)))).failed == (0,)


OPTIONS = st.builds(
    DecodingOptions,
    beam_size=st.integers(4, 6),
    num_hypotheses=st.integers(1, 4),
    length_penalty=st.sampled_from([0.0, 0.6, 1.0, 2.0]),
    patience=st.sampled_from([0.25, 1.0, 2.0]),
    min_length=st.integers(0, 3),
)


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.7, 1.0, 3.0]), st.integers(0, 2), st.integers(1, 8))
def test_a_beam_as_wide_as_all_hypotheses_finds_the_true_optimum(
    seed: int, alpha: float, min_length: int, count: int
) -> None:
    # 2 tokens and `</s>`, at most 4 long: 16 live rows and 24 candidates at most, and the beam is 32 wide.
    table = random_table(seed, num_tokens=3)
    options = DecodingOptions(beam_size=32, num_hypotheses=count, length_penalty=alpha, min_length=min_length)
    (played,) = play(beam_strategy(), table, (options, 4))
    expected = every_hypothesis(table, options, max_length=4, num_tokens=3)[:count]
    assert [h.token_ids for h in played.hypotheses] == [tokens for _, tokens, _ in expected]
    assert [h.finish_reason for h in played.hypotheses] == [reason for _, _, reason in expected]
    assert [h.score for h in played.hypotheses] == pytest.approx([score for score, _, _ in expected])


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(0, 4), st.integers(5, 12))
def test_a_beam_of_one_is_greedy(seed: int, min_length: int, max_length: int) -> None:
    table = random_table(seed, num_tokens=7)
    one = DecodingOptions(beam_size=1, min_length=min_length)
    greedy = DecodingOptions(strategy="greedy", min_length=min_length)
    (by_beam,) = play(beam_strategy(), table, (one, max_length))
    (by_greedy,) = play(GreedyStrategy(VOCABULARY, CPU), table, (greedy, max_length))
    (first,), (second,) = by_beam.hypotheses, by_greedy.hypotheses
    assert dataclasses.replace(first, score=0.0) == dataclasses.replace(second, score=0.0)
    assert first.score == pytest.approx(second.score)


@settings(max_examples=60)
@given(st.integers(0, 10**6), OPTIONS, st.integers(2, 10))
def test_what_was_streamed_is_never_taken_back_and_adds_up_to_the_answer(
    seed: int, options: DecodingOptions, max_length: int
) -> None:
    (played,) = play(beam_strategy(), random_table(seed, num_tokens=5), (options, max_length))
    assert played.streamed == played.hypotheses[0].token_ids


def test_a_prefix_that_all_share_is_streamed_before_the_end() -> None:
    table = log_table(
        {
            (): [1e-6, 0.998, 0.001],
            (1,): [1e-6, 0.01, 0.98],
            (2,): [1e-6, 0.5, 0.5],
            (1, 2): [1e-6, 0.5, 0.49],
            (1, 2, 1): [0.5, 0.25, 0.25],
            (1, 2, 2): [0.6, 0.2, 0.2],
        }
    )
    (played,) = play(beam_strategy(), table, (DecodingOptions(beam_size=2, length_penalty=0.0), 10))
    # The beam is (1), (2), then (1, 2), (1, 1), then (1, 2, 1), (1, 2, 2), where the fork is open.
    assert played.stable == [(), (1,), (2,), (2,)]
    assert played.streamed == played.hypotheses[0].token_ids


def test_a_finished_hypothesis_that_may_still_win_holds_back_the_stream() -> None:
    # (1) finishes in step 2; every live row has gone on through 2, and can still be outscored by it.
    table = log_table({(): [0.01, 0.4, 0.59], (1,): [0.98, 0.01, 0.01], (2,): [0.01, 0.495, 0.495]})
    options = DecodingOptions(beam_size=2, num_hypotheses=1, length_penalty=3.0, patience=2.0)
    game = Game(beam_strategy(), table)
    game.add(0, options, 12)
    game.step()
    game.step()
    assert {prefix[:1] for _, prefix in game.rows} == {(2,)}
    assert game.played[0].streamed == ()


def test_nothing_is_streamed_unasked() -> None:
    game = Game(beam_strategy(), random_table(1, 5))
    game.add(0, DecodingOptions(), 6, stream=False)
    assert game.run()[0].streamed == ()


MIXED = st.one_of(OPTIONS, st.just(DecodingOptions(strategy="greedy")), st.just(DecodingOptions(beam_size=1)))


@settings(max_examples=40)
@given(
    st.integers(0, 10**6),
    st.lists(st.tuples(MIXED, st.integers(1, 9), st.integers(0, 4)), min_size=1, max_size=6),
)
def test_segments_of_all_kinds_and_widths_together_answer_as_alone(
    seed: int, segments: list[tuple[DecodingOptions, int, int]]
) -> None:
    table = random_table(seed, num_tokens=6)
    game = Game(StrategySet(VOCABULARY, CPU), table)
    for key, (options, max_length, delay) in enumerate(segments):
        for _ in range(delay if game.strategy.keys else 0):
            if game.strategy.keys:
                game.step()
        game.add(key, options, max_length)
    together = game.run()
    for key, (options, max_length, _) in enumerate(segments):
        (alone,) = play(StrategySet(VOCABULARY, CPU), _only(table, key), (options, max_length))
        assert together[key] == alone


def _only(table: Table, key: int) -> Table:
    return lambda _, prefix: table(key, prefix)


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.lists(MIXED, min_size=2, max_size=5), st.integers(0, 3), st.data())
def test_segments_that_are_removed_midway_do_not_disturb_others(
    seed: int, segments: list[DecodingOptions], num_steps: int, data: st.DataObject
) -> None:
    table = random_table(seed, num_tokens=6)
    game = Game(StrategySet(VOCABULARY, CPU), table)
    for key, options in enumerate(segments):
        game.add(key, options, 8)
    for _ in range(num_steps):
        if game.strategy.keys:
            game.step()
    removed = data.draw(st.sets(st.integers(0, len(segments) - 1)))
    game.remove(sorted(removed & set(game.strategy.keys)))
    together = game.run()
    for key in set(range(len(segments))) - removed:
        (alone,) = play(StrategySet(VOCABULARY, CPU), _only(table, key), (segments[key], 8))
        assert together[key] == alone
