"""The best continuations of beams: exact, and in one total order, for segments of different widths."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from model.decoding.candidates import RowLayout, best_candidates
from model.top_tokens import top_tokens

CPU = torch.device("cpu")
# Few different values, so that equals are everywhere.
VALUES = st.sampled_from([0.0, -0.5, -1.0, -2.5, float("-inf")])


@given(st.data(), st.integers(1, 6), st.integers(2, 12), st.integers(1, 14))
def test_top_tokens_are_the_likeliest_and_of_equals_the_lowest_ids(
    data: st.DataObject, num_rows: int, num_tokens: int, count: int
) -> None:
    rows = data.draw(st.lists(st.lists(VALUES, min_size=num_tokens, max_size=num_tokens), min_size=num_rows))
    values, token_ids = top_tokens(torch.tensor(rows), count)
    for row, row_values, row_ids in zip(rows, values.tolist(), token_ids.tolist(), strict=True):
        ordered = sorted(range(num_tokens), key=lambda token_id: (-row[token_id], token_id))[:count]
        assert row_values == [row[token_id] for token_id in ordered]
        possible = [token_id for token_id in ordered if row[token_id] > float("-inf")]
        assert row_ids[: len(possible)] == possible


def test_a_wide_row_of_equals_gives_the_lowest_ids() -> None:
    _, token_ids = top_tokens(torch.zeros(2, 5_000), 8)
    assert token_ids.tolist() == [list(range(8))] * 2


def test_layout_places_rows_in_slots_of_their_segment() -> None:
    layout = RowLayout.of([3, 1, 2])
    assert layout.segment_of_row.tolist() == [0, 0, 0, 1, 2, 2]
    assert layout.slot_of_row.tolist() == [0, 1, 2, 0, 0, 1]
    grid = layout.grid(torch.arange(6), -1)
    assert grid.tolist() == [[0, 1, 2], [3, -1, -1], [4, 5, -1]]
    assert layout.rows(grid).tolist() == list(range(6))


@given(st.data(), st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(2, 9))
def test_candidates_of_a_segment_are_the_best_of_all_its_rows_and_tokens(
    data: st.DataObject, widths: list[int], num_tokens: int
) -> None:
    num_rows = sum(widths)
    sums = data.draw(st.lists(VALUES, min_size=num_rows, max_size=num_rows))
    row = st.lists(VALUES, min_size=num_tokens, max_size=num_tokens)
    log_probs = data.draw(st.lists(row, min_size=num_rows, max_size=num_rows))
    layout = RowLayout.of(widths)
    found = best_candidates(torch.tensor(sums, dtype=torch.float64), torch.tensor(log_probs), layout)
    first = 0
    for segment, width in enumerate(widths):
        every = [
            (-(sums[r] + log_probs[r][t]), r, t)
            for r in range(first, first + width)
            for t in range(num_tokens)
        ]
        expected = [(-s, r, t) for s, r, t in sorted(every) if s < float("inf")][: 2 * max(widths)]
        columns = zip(
            found.totals[segment].tolist(),
            found.rows[segment].tolist(),
            found.token_ids[segment].tolist(),
            strict=True,
        )
        assert [column for column in columns if column[0] > float("-inf")] == expected
        first += width
