"""Greedy search on hand-written numbers."""

from __future__ import annotations

import math

import pytest
import torch

from model.decoding.constraints import TargetVocabulary
from model.decoding.greedy import GreedyStrategy
from model.decoding.options import DecodingOptions
from model.decoding.strategy import Task
from model.step_scores import DenseScores
from tests.model.decoding.tables import CPU, EOS, VOCABULARY, Game, log_table, play, random_table

GREEDY = DecodingOptions(strategy="greedy")
TABLE = log_table({(): [0.1, 0.2, 0.7], (2,): [0.3, 0.6, 0.1], (2, 1): [0.9, 0.05, 0.05]})


def test_it_takes_the_likeliest_token_until_the_end() -> None:
    (played,) = play(GreedyStrategy(VOCABULARY, CPU), TABLE, (GREEDY, 10))
    (best,) = played.hypotheses
    assert best.token_ids == (2, 1)
    assert best.finish_reason == "stop"
    assert best.token_log_probs == pytest.approx((math.log(0.7), math.log(0.6)))
    total = math.log(0.7) + math.log(0.6) + math.log(0.9)
    assert best.score == pytest.approx(total / ((5 + 3) / 6))  # `</s>` counts in sum and length
    assert played.num_steps == 3


def test_the_length_limit_counts_tokens_and_says_so() -> None:
    (played,) = play(GreedyStrategy(VOCABULARY, CPU), TABLE, (GREEDY, 2))
    (best,) = played.hypotheses
    assert (best.token_ids, best.finish_reason) == ((2, 1), "length")
    assert best.score == pytest.approx((math.log(0.7) + math.log(0.6)) / ((5 + 2) / 6))


def test_tokens_are_stable_as_they_are_chosen_and_the_end_is_not_one() -> None:
    (played,) = play(GreedyStrategy(VOCABULARY, CPU), TABLE, (GREEDY, 10))
    assert played.stable == [(2,), (1,), ()]


def test_min_length_bars_the_end() -> None:
    options = DecodingOptions(strategy="greedy", min_length=3)
    table = log_table({(): [0.6, 0.3, 0.1], (1,): [0.6, 0.1, 0.3], (1, 2): [0.9, 0.06, 0.04]})
    (played,) = play(GreedyStrategy(VOCABULARY, CPU), table, (options, 10))
    assert played.hypotheses[0].token_ids == (1, 2, 1)
    assert played.hypotheses[0].finish_reason == "stop"


def test_of_equally_likely_tokens_the_lowest_id_wins() -> None:
    table = log_table({(): [0.2, 0.1, 0.35, 0.35]})
    (played,) = play(GreedyStrategy(VOCABULARY, CPU), table, (GREEDY, 10))
    assert played.hypotheses[0].token_ids == (2,)


def test_tokens_that_are_never_text_are_not_chosen() -> None:
    strategy = GreedyStrategy(TargetVocabulary(eos_id=EOS, never_ids=(1, 3)), CPU)
    table = log_table({(): [0.1, 0.4, 0.2, 0.3]})
    (played,) = play(strategy, table, (GREEDY, 10))
    assert played.hypotheses[0].token_ids == (2,)


def test_numbers_that_are_none_fail_their_own_segment_only() -> None:
    strategy = GreedyStrategy(VOCABULARY, CPU)
    for key in range(3):
        strategy.add(Task(key, GREEDY, 10))
    log_probs = torch.log(torch.tensor([[0.1, 0.9], [0.2, 0.8], [0.9, 0.1]]))
    log_probs[1] = float("nan")
    selection = strategy.select(DenseScores(log_probs))
    assert selection.failed == (1,)
    assert set(selection.finished) == {2}
    assert list(strategy.keys) == [0]


def test_segments_added_and_removed_midway_do_not_disturb_others() -> None:
    table = random_table(seed=5, num_tokens=6)
    alone = [
        play(GreedyStrategy(VOCABULARY, CPU), lambda _, p, k=key: table(k, p), (GREEDY, 12))[0]
        for key in range(4)
    ]
    game = Game(GreedyStrategy(VOCABULARY, CPU), table)
    game.add(0, GREEDY, 12)
    game.add(1, GREEDY, 12)
    game.step()
    game.remove([0, 77])
    game.add(2, GREEDY, 12)
    game.step()
    game.add(3, GREEDY, 12)
    played = game.run()
    for key in (1, 2, 3):
        assert played[key].hypotheses == alone[key].hypotheses


def test_a_live_key_cannot_be_added_again() -> None:
    strategy = GreedyStrategy(VOCABULARY, CPU)
    strategy.add(Task(0, GREEDY, 5))
    with pytest.raises(ValueError, match="live already"):
        strategy.add(Task(0, GREEDY, 5))
    with pytest.raises(ValueError, match="at least 1"):
        strategy.add(Task(1, GREEDY, 0))
