"""Plans of epochs: every pair once, within the budget, in an order that only seed and epoch decide."""

from typing import Any

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.training.corpora import corpus_of
from training.epoch_plan import plan_epoch
from training.mixing import Mixture

PLANNED = [[0, 1, 7, 10], [5, 6], [9, 4], [3, 11], [2, 8]]


LENGTHS = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=80)
PLANS: dict[str, Any] = {
    "lengths": LENGTHS,
    "max_tokens": st.integers(16, 200),
    "pool_batches": st.integers(1, 5),
    "seed": st.integers(0, 3),
    "epoch": st.integers(0, 3),
}


@given(**PLANS)
def test_an_epoch_holds_every_pair_once(
    lengths: list[tuple[int, int]], max_tokens: int, pool_batches: int, seed: int, epoch: int
) -> None:
    plan = plan_epoch(corpus_of(lengths), max_tokens, pool_batches, seed, epoch)
    assert sorted(int(i) for batch in plan for i in batch) == list(range(len(lengths)))


@given(**PLANS)
def test_no_batch_is_over_the_budget_but_a_pair_that_is_so_alone(
    lengths: list[tuple[int, int]], max_tokens: int, pool_batches: int, seed: int, epoch: int
) -> None:
    for batch in plan_epoch(corpus_of(lengths), max_tokens, pool_batches, seed, epoch):
        longest = max(max(lengths[i]) for i in batch)
        assert len(batch) * longest <= max_tokens or len(batch) == 1


@given(**PLANS)
def test_the_order_is_decided_by_seed_and_epoch(
    lengths: list[tuple[int, int]], max_tokens: int, pool_batches: int, seed: int, epoch: int
) -> None:
    corpus = corpus_of(lengths)

    def planned() -> list[list[int]]:
        return [batch.tolist() for batch in plan_epoch(corpus, max_tokens, pool_batches, seed, epoch)]

    first = planned()
    np.random.default_rng().random(7)  # nothing from outside decides
    torch.manual_seed(epoch)
    assert planned() == first


def test_epochs_and_seeds_differ() -> None:
    corpus = corpus_of([(length, length) for length in range(2, 60)])
    plans = {
        tuple(int(i) for batch in plan_epoch(corpus, 100, 2, seed, epoch) for i in batch)
        for seed in range(3)
        for epoch in range(3)
    }
    assert len(plans) == 9


def test_the_order_is_the_one_that_saved_runs_count_in() -> None:
    """A state stores how many batches of an epoch are done; another order would repeat some and miss some."""
    corpus = corpus_of([(2 + i % 7, 3 + i % 5) for i in range(12)])
    plan = [batch.tolist() for batch in plan_epoch(corpus, 20, 2, seed=5, epoch=1)]
    assert plan == PLANNED


def test_batches_hold_pairs_of_similar_length() -> None:
    rng = np.random.default_rng(0)
    lengths = [(int(n), int(n)) for n in rng.integers(2, 60, 2000)]
    plan = plan_epoch(corpus_of(lengths), 1000, 50, seed=1, epoch=0)
    padded = sum(len(batch) * max(max(lengths[i]) for i in batch) for batch in plan)
    assert sum(length for length, _ in lengths) / padded > 0.95


@given(**PLANS)
def test_a_plan_is_a_sequence_whose_slices_go_on_where_a_run_stopped(
    lengths: list[tuple[int, int]], max_tokens: int, pool_batches: int, seed: int, epoch: int
) -> None:
    plan = plan_epoch(corpus_of(lengths), max_tokens, pool_batches, seed, epoch)
    batches = [batch.tolist() for batch in plan]
    assert len(plan) == len(batches)
    assert [plan[i].tolist() for i in range(len(plan))] == batches
    for done in (0, 1, len(plan)):
        assert [batch.tolist() for batch in plan[done:]] == batches[done:]
        assert [batch.tolist() for batch in plan[done::2]] == batches[done::2]


def test_a_plan_holds_arrays_and_no_object_for_each_pair_or_batch() -> None:
    plan = plan_epoch(corpus_of([(2 + i % 7, 3 + i % 5) for i in range(3000)]), 100, 5, seed=1, epoch=0)
    assert plan.order.nbytes == 4 * 3000
    assert plan.ends.nbytes + plan.batches.nbytes == 16 * len(plan)


def test_mixed_corpora_are_planned_as_they_are_drawn() -> None:
    """A small corpus comes several times an epoch, and the batches stay within the budget."""
    mixture = Mixture((90, 10), temperature=100.0)
    corpus = corpus_of([(5, 5)] * 90 + [(9, 9)] * 10, mixture)
    plan = plan_epoch(corpus, 50, 3, seed=1, epoch=0)
    rows = np.concatenate(list(plan))
    assert len(rows) == 100
    assert np.bincount((rows >= 90).astype(int)).tolist() == mixture.counts().tolist()
    for batch in plan:
        longest = 9 if (batch >= 90).any() else 5
        assert len(batch) * longest <= 50
