"""Plain searches answer, step for step, what the strategies with all rules answer: choices, ends, streams."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Sequence

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from model.beam_step import extend_beams, tokens_to_look_at
from model.decoding.beam import BeamStrategy
from model.decoding.candidates import RowLayout, best_candidates
from model.decoding.constraints import TargetVocabulary
from model.decoding.greedy import GreedyStrategy
from model.decoding.options import DecodingOptions
from model.decoding.picks import Picks
from model.decoding.plain import Bars, is_plain
from model.decoding.plain_beam import PlainBeamStrategy
from model.decoding.plain_greedy import PlainGreedyStrategy
from model.decoding.strategy import Selection, Strategy, Task
from model.decoding.strategy_set import StrategySet, kind_of
from model.step_scores import DenseScores
from tests.model.decoding.tables import CPU, EOS

NEVER = float("-inf")
LEVELS = (-0.25, -0.5, -1.0, -1.5, -3.0)  # few and exact in binary, so that sums tie


def tied(rng: random.Random, num_rows: int, num_tokens: int, sharp: float = 0.5) -> torch.Tensor:
    """Log-probabilities, half of them from a few levels; now and then a token that cannot be."""
    rows = [
        [rng.choice(LEVELS) if rng.random() < sharp else -4 * rng.random() for _ in range(num_tokens)]
        for _ in range(num_rows)
    ]
    return torch.tensor([[NEVER if rng.random() < 0.05 else value for value in row] for row in rows])


@settings(max_examples=300)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(1, 12), st.integers(0, 10**6))
def test_a_step_of_beams_is_that_of_the_tensors(widths: list[int], num_tokens: int, seed: int) -> None:
    rng = random.Random(seed)
    num_rows = sum(widths)
    log_probs = tied(rng, num_rows, num_tokens)
    totals = [NEVER if rng.random() < 0.3 else rng.choice(LEVELS) for _ in range(num_rows)]
    layout = RowLayout.of(widths)
    candidates = best_candidates(torch.tensor(totals, dtype=torch.float64), log_probs, layout)
    expected = Picks.of(candidates, layout, EOS)
    top = DenseScores(log_probs).top(tokens_to_look_at(widths))
    step = extend_beams(widths, totals, *top, EOS)
    alive = layout.rows(expected.alive)
    assert [total > NEVER for total in step.totals] == alive.tolist()
    assert step.best_live == expected.best_live.tolist()
    assert step.highest == candidates.totals[:, 0].tolist()
    chosen = expected.chosen
    for row in alive.nonzero()[:, 0].tolist():
        columns = (chosen.totals, chosen.rows, chosen.token_ids, chosen.log_probs)
        found = (step.totals[row], step.parents[row], step.token_ids[row], step.log_probs[row])
        assert found == tuple(layout.rows(column)[row].item() for column in columns)
    for row in (~alive).nonzero()[:, 0].tolist():
        assert (step.parents[row], step.token_ids[row]) == (row, EOS)
    places = expected.ends.nonzero()[:, 0].tolist()
    rows, sums = candidates.rows[expected.ends].tolist(), candidates.totals[expected.ends].tolist()
    assert list(step.ends) == list(zip(places, rows, sums, strict=True))
    moves = list(range(num_rows)) if step.moves is None else step.moves.tolist()
    assert (moves, step.tokens.tolist()) == (list(step.parents), list(step.token_ids))


def test_no_row_moves_where_every_row_continues_itself() -> None:
    top = DenseScores(torch.tensor([[-9.0, -1.0, -9.0], [-9.0, -9.0, -1.0]])).top(4)
    assert extend_beams([2], [-1.0, -1.5], *top, EOS).moves is None
    assert extend_beams([2], [-1.5, -1.0], *top, EOS).moves is not None


@pytest.mark.parametrize("place", [0, 1])
def test_a_number_that_is_none_is_told_of_its_beam_even_on_a_dead_row(place: int) -> None:
    log_probs = torch.log(torch.full((4, 3), 1 / 3))
    log_probs[place, 2] = math.nan
    step = extend_beams([2, 2], [-1.0, NEVER, -1.0, NEVER], *DenseScores(log_probs).top(4), EOS)
    assert [math.isfinite(total) for total in step.highest] == [False, True]


class Duel:
    """Two strategies given the same scores; what they answer must be the same at every step."""

    def __init__(self, plain: Strategy, ruled: Strategy, num_tokens: int, seed: int) -> None:
        self.both, self.num_tokens, self.rng = (plain, ruled), num_tokens, random.Random(seed)
        self.nan_share = 0.02
        self.rows: dict[int, int] = {}

    def add(self, key: int, options: DecodingOptions, max_length: int) -> None:
        how = self.rng.choice(({"stream": True}, {"draft": True}, {}))
        for strategy in self.both:
            self.rows[key] = strategy.add(Task(key, options, max_length, **how))  # type: ignore[arg-type]

    def remove(self, keys: Sequence[int]) -> None:
        for strategy in self.both:
            strategy.remove(keys)
        self.rows = {key: rows for key, rows in self.rows.items() if key not in keys}

    def step(self) -> None:
        log_probs = tied(self.rng, sum(self.rows.values()), self.num_tokens)
        if self.rng.random() < self.nan_share:
            log_probs[self.rng.randrange(len(log_probs))] = math.nan
        plain, ruled = (strategy.select(DenseScores(log_probs.clone())) for strategy in self.both)
        gone = {*ruled.finished, *ruled.failed}
        stay = torch.tensor([key not in gone for key, rows in self.rows.items() for _ in range(rows)])
        assert told(plain) == told(ruled)
        assert torch.equal(plain.token_ids[stay], ruled.token_ids[stay])
        assert torch.equal(parents(plain)[stay], parents(ruled)[stay])
        self.rows = {key: rows for key, rows in self.rows.items() if key not in gone}
        assert list(self.both[0].keys) == list(self.both[1].keys) == list(self.rows)


def told(selection: Selection) -> tuple[object, ...]:
    return selection.finished, selection.stable, selection.drafts, set(selection.failed)


def parents(selection: Selection) -> torch.Tensor:
    return torch.arange(len(selection.token_ids)) if selection.parents is None else selection.parents


def fight(duel: Duel, asked: Sequence[DecodingOptions]) -> None:
    """All segments, joining at random times, some taken out again."""
    rng, waiting, key = duel.rng, list(asked), 0
    while waiting or duel.rows:
        while waiting and (not duel.rows or rng.random() < 0.4):
            options = waiting.pop()
            duel.add(key, options, rng.randint(max(1, options.min_length, len(options.prefix_ids)), 12))
            key += 1
        if rng.random() < 0.05:
            duel.remove([rng.choice(list(duel.rows)), 999])
        if duel.rows:
            duel.step()


def beams(rng: random.Random) -> DecodingOptions:
    width = rng.randint(1, 5)
    return DecodingOptions(
        beam_size=width,
        num_hypotheses=rng.randint(1, width),
        length_penalty=rng.choice((0.0, 0.6, 1.0, 2.0)),
        patience=rng.choice((0.5, 1.0, 2.0)),
        min_length=rng.choice((0, 0, 1, 3)),
    )


def with_prefix(options: DecodingOptions, rng: random.Random, num_tokens: int) -> DecodingOptions:
    """Behind a prefix, or none, of tokens that may be text."""
    texts = [token_id for token_id in range(num_tokens) if token_id != EOS]
    return dataclasses.replace(options, prefix_ids=tuple(rng.choices(texts, k=rng.choice((0, 1, 1, 3)))))


NEVER_IDS = st.sampled_from(((), (1,), (1, 4)))


@settings(max_examples=150)
@given(st.integers(0, 10**6), st.integers(2, 12), NEVER_IDS)
@example(0, 2, ())
def test_plain_beams_are_beams(seed: int, num_tokens: int, never_ids: tuple[int, ...]) -> None:
    rng = random.Random(seed)
    vocabulary = TargetVocabulary(EOS, tuple(one for one in never_ids if one < num_tokens))
    duel = Duel(PlainBeamStrategy(vocabulary, CPU), BeamStrategy(vocabulary, CPU), num_tokens, seed)
    fight(duel, [beams(rng) for _ in range(rng.randint(1, 8))])


@settings(max_examples=100)
@given(st.integers(0, 10**6), st.integers(2, 12), NEVER_IDS)
def test_plain_greedy_search_is_greedy_search(seed: int, num_tokens: int, never_ids: tuple[int, ...]) -> None:
    rng = random.Random(seed)
    vocabulary = TargetVocabulary(EOS, tuple(one for one in never_ids if one < num_tokens))
    duel = Duel(PlainGreedyStrategy(vocabulary, CPU), GreedyStrategy(vocabulary, CPU), num_tokens, seed)
    asked = [
        DecodingOptions(strategy="greedy", min_length=rng.choice((0, 0, 1, 3)))
        for _ in range(rng.randint(1, 8))
    ]
    fight(duel, asked)


@settings(max_examples=150)
@given(st.integers(0, 10**6), st.integers(5, 12), st.booleans())
def test_behind_a_prefix_a_search_is_plain_and_answers_the_same(
    seed: int, num_tokens: int, is_beam: bool
) -> None:
    rng, vocabulary = random.Random(seed), TargetVocabulary(EOS, ())
    ruled = BeamStrategy(vocabulary, CPU) if is_beam else GreedyStrategy(vocabulary, CPU)
    duel = Duel(StrategySet(vocabulary, CPU), ruled, num_tokens, seed)
    duel.nan_share = 0.0  # on one row of a beam: where all are equal, only the first is looked at
    greedy = DecodingOptions(strategy="greedy", min_length=rng.choice((0, 1, 3)))
    asked = [beams(rng) if is_beam else greedy for _ in range(rng.randint(1, 8))]
    fight(duel, [with_prefix(options, rng, num_tokens) for options in asked])


def test_a_prefix_looks_at_one_row_of_each_beam_and_a_number_that_is_none_fails_it() -> None:
    both = StrategySet(TargetVocabulary(EOS, ()), CPU)
    asked = DecodingOptions(beam_size=3, prefix_ids=(1, 2))
    for key in (0, 1):
        both.add(Task(key, asked, 9))
    log_probs = torch.log(torch.full((6, 5), 0.2))
    log_probs[3, 1] = math.nan
    selection = both.select(DenseScores(log_probs))
    assert (selection.failed, list(both.keys)) == ((1,), [0])
    assert selection.token_ids.tolist() == [1, EOS, EOS, 1, EOS, EOS]


@pytest.mark.parametrize(
    "rule",
    [
        {"repetition_penalty": 1.2},
        {"no_repeat_ngram_size": 3},
        {"banned_ids": ((5,),)},
        {"required_ids": ((5,),)},
        {"coverage_penalty": 0.2},
        {"diversity_groups": 2},
        {"diversity_groups": 2, "diversity_penalty": 0.5},
    ],
    ids=str,
)
def test_a_search_that_some_rule_watches_is_not_plain(rule: dict[str, object]) -> None:
    options = dataclasses.replace(DecodingOptions(), **rule)  # type: ignore[arg-type]
    assert (is_plain(options), kind_of(options, 9)) == (False, "beam")


def test_searches_with_lengths_and_penalties_of_their_own_are_plain_and_samples_are_not() -> None:
    plain = DecodingOptions(length_penalty=0.3, patience=2.0, min_length=3, max_length=9, num_hypotheses=2)
    assert kind_of(plain, 9) == "plain beam"
    assert kind_of(DecodingOptions(strategy="greedy", min_length=2), 9) == "plain greedy"
    assert kind_of(DecodingOptions(strategy="sample"), 9) == "sample"
    begun = DecodingOptions(prefix_ids=(5, 6))
    assert (kind_of(begun, 3), kind_of(begun, 2)) == ("prefix", "beam")


def test_bars_are_the_tokens_that_are_never_text_and_the_end_while_it_is_too_soon() -> None:
    asked = [DecodingOptions(beam_size=2, min_length=2), DecodingOptions(strategy="greedy")]
    bars = Bars(TargetVocabulary(3, (0,)), asked, CPU)
    short = bars.pairs(lambda: [0, 0])
    assert short is not None
    assert sorted(short.T.tolist()) == [[0, 0], [0, 3], [1, 0], [1, 3], [2, 0]]
    assert bars.pairs(lambda: [1, 1]) is short  # derived when something changes, not at every step
    enough = bars.pairs(lambda: [2, 2])
    assert enough is not None
    assert enough.T.tolist() == [[0, 0], [1, 0], [2, 0]]
    assert Bars(TargetVocabulary(3, ()), asked[1:], CPU).pairs(list) is None
