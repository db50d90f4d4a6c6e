"""Beam search's own options: coverage, groups that differ, drafts."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model import reference
from model.decoding.beam import BeamStrategy
from model.decoding.coverage import LEAST, Coverage
from model.decoding.options import DecodingOptions
from model.decoding.strategy import Hypothesis, Task
from model.decoding.strategy_set import StrategySet
from model.step_scores import DenseScores
from tests.model.decoding.any_options import LONGEST, NUM_TOKENS, RANDOM_VOCABULARY, any_options
from tests.model.decoding.tables import (
    CPU,
    VOCABULARY,
    Game,
    Prefix,
    Table,
    TableSentence,
    log_table,
    play,
    random_attention,
    random_table,
)


def beam_strategy() -> BeamStrategy:
    return BeamStrategy(VOCABULARY, CPU)


# (1) is a little likelier than (2), but reads only the first of two source tokens.
HALF_READ = log_table({(): [0.01, 0.5, 0.49], (1,): [0.98, 0.01, 0.01], (2,): [0.98, 0.01, 0.01]})


def half_reading(_: int, prefix: Prefix) -> list[float]:
    return {(): [0.5, 0.5], (1,): [0.9, 0.1], (2,): [0.3, 0.7]}.get(prefix, [0.5, 0.5])


def covered(beta: float, count: int = 2) -> tuple[Hypothesis, ...]:
    game = Game(beam_strategy(), HALF_READ, half_reading)
    options = DecodingOptions(
        beam_size=2, num_hypotheses=count, length_penalty=0.0, coverage_penalty=beta, patience=1.0
    )
    game.add(0, options, 6)
    return game.run()[0].hypotheses


def test_the_coverage_penalty_is_that_of_wu_et_al() -> None:
    plain, pulled = covered(0.0), covered(0.5)
    assert [h.token_ids for h in plain] == [(1,), (2,)]
    assert [h.token_ids for h in pulled] == [(2,), (1,)]
    # Attended in all: by (1) and its end 0.5 + 0.9 and 0.5 + 0.1, by (2) 0.5 + 0.3 and 0.5 + 0.7.
    assert pulled[0].score == pytest.approx(math.log(0.49 * 0.98) + 0.5 * math.log(0.8))
    assert pulled[1].score == pytest.approx(math.log(0.5 * 0.98) + 0.5 * math.log(0.6))


def test_what_was_never_attended_to_counts_as_the_least_and_padding_not_at_all() -> None:
    coverage = Coverage(CPU)
    coverage.add_rows(2)
    coverage.attend(torch.tensor([[0.0, 1.0, 0.0], [0.25, 0.75, 0.0]]))
    logs = coverage.logs(torch.tensor([0, 1]), torch.tensor([2, 2]))
    assert logs == pytest.approx([math.log(LEAST), math.log(0.25) + math.log(0.75)])
    coverage.attend(torch.tensor([[1.0, 0.0], [0.75, 0.25]]))  # the longest source has left
    assert coverage.logs(torch.tensor([0, 1]), torch.tensor([2, 2])) == [0.0, 0.0]


@pytest.mark.parametrize("length", range(20, 40))
def test_coverage_has_the_same_bits_whatever_source_stands_beside_it(length: int) -> None:
    shares = torch.rand(1, length, generator=torch.Generator().manual_seed(length)) / 2
    found = set()
    for longest in range(length, 130):
        coverage = Coverage(CPU)
        coverage.add_rows(1)
        coverage.attend(torch.nn.functional.pad(shares, (0, longest - length)))
        (logs,) = coverage.logs(torch.tensor([0]), torch.tensor([length]))
        found.add(float(logs))
    assert len(found) == 1


def test_coverage_is_asked_for_only_while_a_segment_wants_it() -> None:
    strategy = StrategySet(VOCABULARY, CPU)
    strategy.add(Task(0, DecodingOptions(beam_size=2), 5))
    assert not strategy.wants_attention
    strategy.add(Task(1, DecodingOptions(beam_size=2, coverage_penalty=0.1), 5, source_length=2))
    assert strategy.wants_attention
    with pytest.raises(ValueError, match="attended to"):
        strategy.select(DenseScores(torch.log(torch.full((4, 3), 1 / 3))))
    strategy.remove([1])
    assert not strategy.wants_attention


def grouped(table: Table, penalty: float, groups: int = 2, beam_size: int = 2) -> list[Prefix]:
    options = DecodingOptions(
        beam_size=beam_size,
        num_hypotheses=beam_size,
        diversity_groups=groups,
        diversity_penalty=penalty,
        length_penalty=0.0,
    )
    return [h.token_ids for h in play(beam_strategy(), table, (options, 8))[0].hypotheses]


def test_of_equals_at_the_length_limit_those_of_an_earlier_group_come_first_ended_or_cut_off() -> None:
    def flat(_: int, prefix: Prefix) -> list[float]:
        return [math.log(0.25)] * 4

    options = DecodingOptions(
        beam_size=4,
        num_hypotheses=4,
        diversity_groups=2,
        diversity_penalty=2.0,
        length_penalty=0.0,
        min_length=1,
    )
    hypotheses = play(beam_strategy(), flat, (options, 2))[0].hypotheses
    assert [h.token_ids for h in hypotheses] == [(1,), (1, 1), (1, 2), (3,)]
    assert list(hypotheses) == reference.search(
        TableSentence(0, flat, random_attention(0), VOCABULARY), options, 2
    )


def test_one_that_is_cut_off_at_the_length_limit_is_not_lost_to_an_equal_of_a_later_group() -> None:
    # (1, 1), live in the first group, and (2) with its end, in the second, have the same sum at the limit.
    table = log_table({(): [0.1, 0.45, 0.45], (1,): [0.2, 0.5, 0.3], (2,): [0.5, 0.25, 0.25]})
    options = DecodingOptions(beam_size=2, diversity_groups=2, diversity_penalty=1.0, length_penalty=0.0)
    hypotheses = play(beam_strategy(), table, (options, 2))[0].hypotheses
    assert [(h.token_ids, h.finish_reason) for h in hypotheses] == [((1, 1), "length")]
    assert list(hypotheses) == reference.search(
        TableSentence(0, table, random_attention(0), VOCABULARY), options, 2
    )


# The first group says 1 1. At a price above log(0.6 / 0.3) the second begins with 2, and does so at no cost
# to its later score.
GROUPS = log_table(
    {
        (): [0.05, 0.6, 0.3, 0.05],
        (1,): [0.1, 0.8, 0.05, 0.05],
        (2,): [0.1, 0.2, 0.1, 0.6],
        (1, 1): [1, 0, 0, 0],
    }
)


def test_a_later_group_pays_for_what_an_earlier_one_takes() -> None:
    assert grouped(GROUPS, 0.0) == [(1, 1)]  # both groups find the same, which is answered once
    assert grouped(GROUPS, 0.6) == [(1, 1)]  # log 2 = 0.693 is not yet paid
    assert grouped(GROUPS, 0.8) == [(1, 1), (2, 3)]


def test_the_price_steers_the_choice_and_stays_out_of_the_score() -> None:
    options = DecodingOptions(
        beam_size=2, num_hypotheses=2, diversity_groups=2, diversity_penalty=2.0, length_penalty=0.0
    )
    first, second = play(beam_strategy(), GROUPS, (options, 8))[0].hypotheses
    assert first.score == pytest.approx(math.log(0.6 * 0.8))
    assert second.score == pytest.approx(math.log(0.3 * 0.6))
    assert second.token_log_probs == pytest.approx((math.log(0.3), math.log(0.6)))


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(2, 3))
def test_groups_without_a_price_are_the_same_beam_several_times(seed: int, width: int, groups: int) -> None:
    table = random_table(seed, 6)
    alone = DecodingOptions(beam_size=width, num_hypotheses=width)
    several = DecodingOptions(beam_size=width * groups, num_hypotheses=width, diversity_groups=groups)
    assert play(beam_strategy(), table, (several, 8))[0].hypotheses == (
        play(beam_strategy(), table, (alone, 8))[0].hypotheses
    )


def test_the_draft_is_the_hypothesis_that_leads_finished_or_live() -> None:
    # After two steps (1) is finished with 0.392; (2, 1) and (2, 2), at 0.292, may still outscore it later.
    table = log_table({(): [0.01, 0.4, 0.59], (1,): [0.98, 0.01, 0.01], (2,): [0.01, 0.495, 0.495]})
    game = Game(beam_strategy(), table)
    options = DecodingOptions(beam_size=2, length_penalty=3.0, patience=2.0)
    game.add(0, options, 12, draft=True)
    game.step()
    game.step()
    assert game.played[0].drafts == [(2,), (1,)]
    assert game.played[0].streamed == ()  # a draft takes the place of what is stable


def test_the_draft_is_a_live_row_that_is_better_than_what_has_finished() -> None:
    # (1) has finished with 0.25; (2, 2) has 0.285 so far.
    table = log_table({(): [0.001, 0.5, 0.3], (1,): [0.5, 0.01, 0.01], (2,): [0.001, 0.01, 0.95]})
    game = Game(beam_strategy(), table)
    game.add(0, DecodingOptions(beam_size=2, patience=2.0, length_penalty=0.0), 10, draft=True)
    game.step()
    game.step()
    assert game.played[0].drafts == [(1,), (2, 2)]


def test_the_draft_may_come_from_any_group() -> None:
    # The first group goes on to (1, 1), 0.6 x 0.32; the second to (2, 1), 0.3 x 0.97.
    table = log_table({(): [0.05, 0.6, 0.3, 0.05], (1,): [0.04] + [0.32] * 3, (2,): [0.01, 0.97, 0.01, 0.01]})
    game = Game(beam_strategy(), table)
    options = DecodingOptions(beam_size=2, diversity_groups=2, diversity_penalty=2.0)
    game.add(0, options, 10, draft=True)
    game.step()
    game.step()
    assert game.played[0].drafts == [(1,), (2, 1)]


@settings(max_examples=100)
@given(st.integers(0, 10**6), any_options())
def test_a_draft_is_told_at_every_step_but_the_last_and_changes_no_answer(
    seed: int, options: DecodingOptions
) -> None:
    table, attention = random_table(seed, NUM_TOKENS), random_attention(seed)
    answers = []
    for draft in (True, False):
        game = Game(StrategySet(RANDOM_VOCABULARY, CPU), table, attention)
        game.add(0, options, LONGEST, stream=not draft, draft=draft)
        played = game.run()[0]
        answers.append(played.hypotheses)
        if draft and options.strategy == "beam":
            *before, last = played.drafts
            assert last is None
            for step, one in enumerate(before, start=1):
                assert one is not None
                assert len(one) <= step
                assert one[: len(options.prefix_ids)] == options.prefix_ids[:step]
        else:
            assert set(played.drafts) == {None}
            assert played.streamed == played.hypotheses[0].token_ids
    assert answers[0] == answers[1]
