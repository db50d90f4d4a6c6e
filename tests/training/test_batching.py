"""Batches: padded tensors, targets shifted by one."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.training.corpora import EOS, PAD, START, corpus_of
from training.batching import make_batch

LENGTHS = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=80)


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
