"""Scores of a step: the best tokens in a total order, barred ones left out, rows chosen; nothing is spent."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from model.step_scores import DenseScores

NEVER = float("-inf")


def drawn(data: st.DataObject, num_rows: int, num_tokens: int) -> torch.Tensor:
    """Few different values, so that ties abound."""
    values = st.sampled_from([-0.5, -1.0, -1.5, -2.0, NEVER])
    row = st.lists(values, min_size=num_tokens, max_size=num_tokens)
    return torch.tensor(data.draw(st.lists(row, min_size=num_rows, max_size=num_rows)))


@given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 8), st.data())
def test_the_best_tokens_are_those_of_a_full_sort_without_what_is_barred(
    num_rows: int, num_tokens: int, count: int, data: st.DataObject
) -> None:
    dense = drawn(data, num_rows, num_tokens)
    pair = st.tuples(st.integers(0, num_rows - 1), st.integers(0, num_tokens - 1))
    pairs = data.draw(st.lists(pair, max_size=6, unique=True))
    before = dense.clone()
    barred = torch.tensor(pairs, dtype=torch.long).view(-1, 2).T
    values, token_ids = DenseScores(dense).top(count, barred)
    for row in range(num_rows):
        scores = [NEVER if (row, v) in pairs else before[row, v].item() for v in range(num_tokens)]
        expected = sorted(range(num_tokens), key=lambda v: (-scores[v], v))[:count]
        assert values[row].tolist() == [scores[v] for v in expected]
        possible = sum(scores[v] > NEVER for v in expected)
        assert token_ids[row].tolist()[:possible] == expected[:possible]
    assert torch.equal(dense, before)


def test_nothing_is_barred_when_nobody_says_so() -> None:
    values, token_ids = DenseScores(torch.tensor([[-2.0, -1.0], [-1.0, -1.0]])).top(1)
    assert (values.tolist(), token_ids.tolist()) == ([[-1.0], [-1.0]], [[1], [0]])


def test_rows_are_chosen_in_the_order_asked_for_with_what_they_attended_to() -> None:
    scores = DenseScores(torch.tensor([[-1.0], [-2.0], [-3.0]]), torch.tensor([[0.1], [0.2], [0.3]]))
    chosen = scores.of_rows(torch.tensor([2, 0]))
    assert chosen.log_probs().tolist() == [[-3.0], [-1.0]]
    assert chosen.attention is not None
    assert torch.equal(chosen.attention, torch.tensor([[0.3], [0.1]]))
    assert DenseScores(torch.zeros(2, 1)).of_rows(torch.tensor([1])).attention is None
