"""Sampling: the distribution is the one that the options name, and a seed repeats it exactly."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.decoding.constraints import TargetVocabulary
from model.decoding.filters import FIRST_LOOK, Filters
from model.decoding.greedy import GreedyStrategy
from model.decoding.options import DecodingOptions
from model.decoding.sampling import SampleStrategy, first_above
from model.decoding.strategy import Task
from model.decoding.strategy_set import StrategySet
from model.reference_rules import kept_mass
from model.step_scores import DenseScores
from tests.model.decoding.tables import CPU, EOS, VOCABULARY, Game, log_table, play, random_table

PROBABILITIES = [0.05, 0.3, 0.12, 0.02, 0.3, 0.21]
DRAWS = 8_000
# Exceeded once in a thousand runs, by degrees of freedom. Seeds are fixed, so each run is always the same.
CRITICAL = {1: 10.83, 2: 13.82, 3: 16.27, 4: 18.47, 5: 20.52}


def sample(**options: Any) -> DecodingOptions:
    return DecodingOptions(strategy="sample", **options)


def first_tokens(probabilities: Sequence[float], **options: Any) -> list[int]:
    """What the seeds 0, 1, 2 ... draw as the first token, all in one batch."""
    strategy = SampleStrategy(VOCABULARY, CPU)
    for seed in range(DRAWS):
        strategy.add(Task(seed, sample(seed=seed, **options), 1))
    log_probs = torch.tensor(probabilities, dtype=torch.float64).log().repeat(DRAWS, 1)
    token_ids: list[int] = strategy.select(DenseScores(log_probs)).token_ids.tolist()
    return token_ids


# By hand: what is left of PROBABILITIES, and how much of it each token has.
SHARES: list[tuple[dict[str, Any], list[float]]] = [
    ({}, PROBABILITIES),
    ({"top_k": 3}, [0, 0.3, 0, 0, 0.3, 0.21]),
    ({"top_k": 1}, [0, 1, 0, 0, 0, 0]),  # of two equals the lower id
    ({"top_p": 0.6}, [0, 0.3, 0, 0, 0.3, 0]),  # 0.3 + 0.3 are enough
    ({"top_p": 0.61}, [0, 0.3, 0, 0, 0.3, 0.21]),
    ({"top_p": 0.01}, [0, 1, 0, 0, 0, 0]),
    ({"min_p": 0.2}, [0, 0.3, 0.12, 0, 0.3, 0.21]),  # at least 0.06
    ({"epsilon": 0.049}, [0.05, 0.3, 0.12, 0, 0.3, 0.21]),
    ({"epsilon": 0.9}, [0, 1, 0, 0, 0, 0]),  # the likeliest is always kept
    ({"temperature": 2.0}, [math.sqrt(p) for p in PROBABILITIES]),
    ({"temperature": 0.5}, [p**2 for p in PROBABILITIES]),
    ({"top_k": 4, "top_p": 0.9, "min_p": 0.5}, [0, 0.3, 0, 0, 0.3, 0.21]),
    ({"temperature": 0.5, "min_p": 0.2}, [0, 0.09, 0, 0, 0.09, 0.0441]),  # at least 0.2 x 0.09, of squares
]


@pytest.mark.parametrize(("options", "shares"), SHARES)
def test_tokens_are_drawn_as_often_as_their_share_of_what_is_kept(
    options: dict[str, Any], shares: list[float]
) -> None:
    drawn = first_tokens([p + 1e-12 * (i == 1) for i, p in enumerate(PROBABILITIES)], **options)
    whole, statistic, possible = math.fsum(shares), 0.0, 0
    for token_id, share in enumerate(shares):
        expected, count = DRAWS * share / whole, drawn.count(token_id)
        if not share:
            assert count == 0
            continue
        statistic += (count - expected) ** 2 / expected
        possible += 1
    assert possible == 1 or statistic < CRITICAL[possible - 1]


def test_a_cold_sample_is_greedy_search() -> None:
    table = random_table(4, 8)
    cold, greedy = sample(temperature=0.01, seed=3), DecodingOptions(strategy="greedy")
    (by_sample,) = play(SampleStrategy(VOCABULARY, CPU), table, (cold, 12))
    (by_greedy,) = play(GreedyStrategy(VOCABULARY, CPU), table, (greedy, 12))
    assert by_sample.hypotheses == by_greedy.hypotheses


def test_scores_are_the_models_own_whatever_filters_and_temperature_do() -> None:
    table = log_table({(): [0.1, 0.9, 0.0], (1,): [0.8, 0.1, 0.1]})
    options = sample(temperature=0.02, top_k=1, seed=0)
    (best,) = play(SampleStrategy(VOCABULARY, CPU), table, (options, 10))[0].hypotheses
    assert best.token_ids == (1,)
    assert best.token_log_probs == pytest.approx((math.log(0.9),))
    assert best.score == pytest.approx(math.log(0.9 * 0.8) / ((5 + 2) / 6))


OPTIONS = st.builds(
    sample,
    temperature=st.sampled_from([0.5, 1.0, 1.7]),
    top_k=st.integers(0, 5),
    top_p=st.sampled_from([0.3, 0.9, 1.0]),
    min_p=st.sampled_from([0.0, 0.2]),
    seed=st.integers(0, 2**63 - 1),
)
OTHERS = st.one_of(
    OPTIONS, st.just(DecodingOptions(beam_size=3)), st.just(DecodingOptions(strategy="greedy"))
)


@settings(max_examples=50)
@given(st.integers(0, 10**6), OPTIONS, st.lists(OTHERS, max_size=5), st.integers(0, 5), st.integers(0, 4))
def test_a_seed_repeats_exactly_whatever_else_is_in_the_batch(
    seed: int, options: DecodingOptions, others: list[DecodingOptions], place: int, delay: int
) -> None:
    table = random_table(seed, 6)
    (alone,) = play(SampleStrategy(VOCABULARY, CPU), lambda _, prefix: table(99, prefix), (options, 12))
    game = Game(StrategySet(VOCABULARY, CPU), table)
    for key, other in enumerate(others[:place]):
        game.add(key, other, 9)
    for _ in range(delay):
        if game.strategy.keys:
            game.step()
    game.add(99, options, 12)
    for key, other in enumerate(others[place:]):
        game.add(50 + key, other, 9)
    assert game.run()[99] == alone


def test_without_a_seed_two_segments_differ() -> None:
    table = random_table(0, 50, sharpness=0.1)
    segments = [(sample(), 20)] * 2
    first, second = play(SampleStrategy(VOCABULARY, CPU), lambda _, prefix: table(0, prefix), *segments)
    assert first.hypotheses[0].token_ids != second.hypotheses[0].token_ids


LOGITS = st.lists(st.sampled_from([0.0, -1.0, -1.5, -9.0, float("-inf")]), min_size=2, max_size=9)


@settings(max_examples=100)
@given(LOGITS, OPTIONS, st.sampled_from([0.0, 0.3, 1.0]), st.sampled_from([0.0, 0.2, 0.99]))
def test_what_is_drawn_is_kept_by_every_filter_and_something_always_is(
    logits: list[float], options: DecodingOptions, min_p: float, epsilon: float
) -> None:
    values = torch.tensor([0.0, *logits], dtype=torch.float64).log_softmax(0)
    asked = dataclasses.replace(options, min_p=min_p, epsilon=epsilon)
    strategy = SampleStrategy(VOCABULARY, CPU)
    strategy.add(Task(0, asked, 5))
    (token_id,) = strategy.select(DenseScores(values.clone()[None])).token_ids.tolist()
    assert kept_mass(values.tolist(), asked)[token_id] > 0


@pytest.mark.parametrize("spread", [0.05, 3.0, 40.0])
@pytest.mark.parametrize("options", [{"top_p": 0.95}, {"min_p": 0.3}, {"top_k": 70}, {"epsilon": 1e-4}])
def test_filters_that_keep_more_than_the_first_look_keep_all_they_should(
    spread: float, options: dict[str, Any]
) -> None:
    num_tokens = 40 * FIRST_LOOK
    rng = random.Random(1)
    values = torch.tensor([rng.gauss(0, spread) for _ in range(num_tokens)], dtype=torch.float64)
    values = values.log_softmax(0)
    kept = torch.tensor(kept_mass(values.tolist(), sample(**options)), dtype=torch.float64)
    strategy = SampleStrategy(VOCABULARY, CPU)
    for seed in range(400):
        strategy.add(Task(seed, sample(seed=seed, **options), 5))
    found = strategy.select(DenseScores(values.repeat(400, 1))).token_ids
    assert (kept[found] > 0).all()
    # And not too few: as much is drawn from the less likely half of what is kept as it weighs.
    order = kept.argsort(descending=True)[: int((kept > 0).sum())]
    rare = order[len(order) // 2 :]
    share = float(kept[rare].sum() / kept.sum())
    drawn = float(torch.isin(found, rare).double().mean())
    assert drawn == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / 400) + 1e-9)


def test_the_number_nearest_to_one_falls_on_a_token_with_mass() -> None:
    mass = torch.tensor([[0.0, 0.1, 0.2, 0.0], [0.7, 0.1, 0.1, 0.1]], dtype=torch.float64)
    largest = torch.full((2,), 1 - 2.0**-53, dtype=torch.float64)
    assert first_above(mass, largest)[0].tolist() == [2, 3]
    assert first_above(mass, torch.zeros(2, dtype=torch.float64))[0].tolist() == [1, 0]


def test_tokens_that_are_never_text_are_not_drawn() -> None:
    strategy = SampleStrategy(TargetVocabulary(eos_id=EOS, never_ids=(1,)), CPU)
    for seed in range(200):
        strategy.add(Task(seed, sample(seed=seed), 5))
    log_probs = torch.tensor([0.01, 0.98, 0.01]).log().repeat(200, 1)
    assert set(strategy.select(DenseScores(log_probs)).token_ids.tolist()) == {0, 2}


@pytest.mark.parametrize("options", [{}, {"top_k": 2}, {"top_p": 0.5}])
def test_numbers_that_are_none_fail_their_own_segment_only(options: dict[str, Any]) -> None:
    strategy = SampleStrategy(VOCABULARY, CPU)
    for key in range(3):
        strategy.add(Task(key, sample(seed=key, **options), 10))
    log_probs = torch.tensor([[0.0, 0.5, 0.5]] * 3).log()
    log_probs[1, 2] = float("nan")
    assert strategy.select(DenseScores(log_probs)).failed == (1,)
    assert list(strategy.keys) == [0, 2]


def test_what_is_kept_has_the_same_bits_whatever_rows_stand_beside_it() -> None:
    """With a vocabulary so large that threads would share a single row."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        logits = 4 * torch.randn(64, 58_101, generator=torch.Generator().manual_seed(0))
        filters = Filters([DecodingOptions(strategy="sample", top_p=0.9)] * 64, CPU)
        together = filters.kept(logits, torch.arange(64), 64)
        for row in range(64):
            alone = filters.kept(logits[row : row + 1], torch.tensor([row]), 64)
            assert all(
                torch.equal(one[0], all_rows[row]) for one, all_rows in zip(alone, together, strict=True)
            )
    finally:
        torch.set_num_threads(threads)
