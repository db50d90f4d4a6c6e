"""Batches: every pair once, within the budget, in an order that only seed and epoch decide."""

from typing import Any

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.batching import EncodedCorpus, RaggedIds, make_batch, plan_epoch

PAD, EOS, START = 0, 3, 2
PLANNED = [[0, 1, 7, 10], [5, 6], [9, 4], [3, 11], [2, 8]]


def corpus_of(lengths: list[tuple[int, int]]) -> EncodedCorpus:
    """Pairs of these lengths, `</s>` included; every token is its pair's number plus 10."""
    sides = [
        RaggedIds.from_lists(
            [[number + 10] * (pair[side] - 1) + [EOS] for number, pair in enumerate(lengths)]
        )
        for side in (0, 1)
    ]
    return EncodedCorpus(*sides)


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


@given(LENGTHS)
def test_targets_are_their_input_shifted_by_one(lengths: list[tuple[int, int]]) -> None:
    corpus = corpus_of(lengths)
    batch = make_batch(corpus, np.arange(len(lengths)), PAD, START)
    for row, (source_length, target_length) in enumerate(lengths):
        wanted = [row + 10] * (target_length - 1) + [EOS]
        assert batch.target_output[row, :target_length].tolist() == wanted
        assert batch.target_input[row, :target_length].tolist() == [START, *wanted[:-1]]
        assert batch.target_output[row, target_length:].eq(PAD).all()
        assert batch.source_ids[row, :source_length].tolist() == [row + 10] * (source_length - 1) + [EOS]
        assert batch.source_ids[row, source_length:].eq(PAD).all()
        assert batch.source_mask[row].tolist() == [
            i < source_length for i in range(batch.source_mask.shape[1])
        ]
    assert batch.num_target_tokens == sum(target for _, target in lengths)
    assert batch.num_target_tokens == int(batch.target_output.ne(PAD).sum())
    assert batch.source_ids.dtype == batch.target_input.dtype == torch.long


def test_a_batch_is_only_as_wide_as_its_longest() -> None:
    batch = make_batch(corpus_of([(5, 3), (2, 9), (30, 30)]), np.array([1, 0]), PAD, START)
    assert batch.source_ids.shape == (2, 5)
    assert batch.target_output.shape == (2, 9)
    assert batch.source_ids[0, 0] == 11


@given(st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=9), max_size=9))
def test_ragged_lists_come_back(lists: list[list[int]]) -> None:
    ragged = RaggedIds.from_lists(lists)
    assert [ragged[i].tolist() for i in range(len(ragged))] == lists
    assert ragged.lengths.tolist() == [len(one) for one in lists]
