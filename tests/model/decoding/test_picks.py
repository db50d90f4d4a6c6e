"""Who ends and who lives on, among candidates in an order that need not be that of their sums."""

from __future__ import annotations

import torch

from model.decoding.candidates import Candidates, RowLayout
from model.decoding.picks import Picks
from tests.model.decoding.tables import EOS


def test_a_narrow_beam_beside_a_wide_one_takes_no_more_than_its_own_width() -> None:
    # The last candidate of the narrow beam has the highest sum, but was ranked low (diversity does so).
    totals = torch.tensor([[-3.0, -2.0, -4.0, -1.0], [-1.0, -2.0, -3.0, -4.0]], dtype=torch.float64)
    token_ids = torch.tensor([[5, EOS, 7, 6], [EOS, EOS, 5, 6]])
    totals[0, 2] = -1.0
    candidates = Candidates(totals, totals, torch.zeros(2, 4, dtype=torch.long), token_ids)
    picks = Picks.of(candidates, RowLayout.of([1, 2]), EOS)
    assert picks.ends.tolist() == [[False] * 4, [True, True, False, False]]
    assert picks.alive.tolist() == [[True, False], [True, True]]
    assert picks.chosen.token_ids[0, 0] == 5
    assert picks.chosen.token_ids[1].tolist() == [5, 6]
    assert picks.best_live.tolist() == [-3.0, -3.0]
