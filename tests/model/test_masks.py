"""Every mask says True where a query may attend, and ragged ids become one padded tensor."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.masks import attend_to_source, causal_mask, filled_mask, pad_batch

SEQUENCES = st.lists(st.lists(st.integers(4, 99), min_size=1, max_size=9), min_size=1, max_size=5)


@given(SEQUENCES, st.integers(0, 3))
def test_padding_gives_back_every_sequence_and_masks_the_rest(
    sequences: list[list[int]], pad_id: int
) -> None:
    ids, mask = pad_batch(sequences, pad_id)

    assert ids.shape == mask.shape == (len(sequences), max(map(len, sequences)))
    assert (ids.dtype, mask.dtype) == (torch.long, torch.bool)
    assert [row[real].tolist() for row, real in zip(ids, mask, strict=True)] == sequences
    assert (ids[~mask] == pad_id).all()
    assert mask.sum(1).tolist() == [len(sequence) for sequence in sequences]
    assert all(mask[i, : len(sequence)].all() for i, sequence in enumerate(sequences))


def test_a_token_equal_to_the_padding_is_still_a_token() -> None:
    _, mask = pad_batch([[0, 5, 0], [5]], pad_id=0)
    assert mask.tolist() == [[True, True, True], [True, False, False]]


@pytest.mark.parametrize("sequences", [[], [[]], [[4, 5], []]], ids=["none", "one empty", "an empty one"])
def test_nothing_to_attend_to_is_refused(sequences: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="at least one sequence, each with at least one token"):
        pad_batch(sequences, 0)


def test_a_position_may_attend_to_itself_and_to_earlier_ones() -> None:
    assert causal_mask(4).tolist() == [[key <= query for key in range(4)] for query in range(4)]


def test_every_head_and_every_query_sees_the_real_source_tokens() -> None:
    mask = torch.tensor([[True, True, False], [True, False, False]])
    seen = attend_to_source(mask).expand(2, 4, 5, 3)
    assert all(torch.equal(seen[:, head, query], mask) for head in range(4) for query in range(5))


def test_a_row_sees_the_slots_that_it_has_filled() -> None:
    mask = filled_mask(torch.tensor([2, 0, 3]), capacity=3)
    assert mask.shape == (3, 1, 1, 3)
    assert mask[:, 0, 0].tolist() == [[True, True, False], [False, False, False], [True, True, True]]
