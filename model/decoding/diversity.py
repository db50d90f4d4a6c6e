"""Groups of beams that differ: diverse beam search with Hamming diversity (Vijayakumar et al. 2018).

Knows: candidates of beams, which beams are groups of one segment. Must not know: hypotheses, options.
Shapes: R rows, V vocabulary, U groups, W rows of the widest group, G segments, B rows of the widest segment.

The groups of a segment take their step one after the other. A candidate of a later group is ranked by its sum
less `penalty` times the number of rows that earlier groups extend, at this step, with the same token. The
penalty steers the choice alone: sums and scores stay what they are without it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from model.decoding.candidates import Candidates, RowLayout, all_candidates
from model.decoding.constraints import Scores
from model.decoding.picks import Picks
from model.decoding.scoring import NEVER
from model.top_tokens import top_tokens
from model.transfers import to_host


class DiverseGroups:
    """Which groups choose when, and what they pay; derived anew when rows come or go."""

    def __init__(
        self,
        layout: RowLayout,
        widths: Sequence[int],
        segment_of_group: Sequence[int],
        number_of_group: Sequence[int],
        penalty_of_group: Sequence[float],
    ) -> None:
        """`layout` lays rows in groups; `widths` [G] are the segments' rows; the others are by group [U]."""
        self._layout, self._widest_segment, self._num_segments = layout, max(widths), len(widths)
        self._segments = torch.tensor(segment_of_group)
        self._numbers = torch.tensor(number_of_group)
        penalties = torch.tensor(penalty_of_group, dtype=torch.float64)
        self._penalties = penalties[layout.segment_of_row]
        self._last = max(number_of_group)

    def pick(self, totals: Tensor, scores: Scores, eos_id: int) -> Picks:
        """One step of all groups: first all first groups, then all second ones ..."""
        shortlist = _Shortlist.of(scores, 2 * self._layout.widest + self._widest_segment)
        taken = self._segments.new_full((self._num_segments, self._widest_segment), -1)
        picks = Picks.of(self._ranked(totals, shortlist, taken), self._layout, eos_id)
        for number in range(1, self._last + 1):
            self._take(taken, picks, number - 1)
            later = Picks.of(self._ranked(totals, shortlist, taken), self._layout, eos_id)
            picks = picks.where(self._numbers < number, later)
        return picks

    def _ranked(self, totals: Tensor, shortlist: _Shortlist, taken: Tensor) -> Candidates:
        """The 2 W best of each group, in the order of their penalised sums."""
        theirs = taken[self._segments[self._layout.segment_of_row]]  # [R, B]
        times = (shortlist.token_ids[:, :, None] == theirs[:, None]).sum(dim=2)
        sums = self._layout.grid(totals[:, None] + shortlist.values, NEVER).flatten(1)
        fines = self._layout.grid(self._penalties[:, None] * times, 0.0).flatten(1)
        ordered = torch.sort(sums - fines, dim=1, descending=True, stable=True)
        every = all_candidates(sums, shortlist.own, shortlist.token_ids, self._layout)
        return every.gather(ordered.indices[:, : 2 * self._layout.widest])

    def _take(self, taken: Tensor, picks: Picks, number: int) -> None:
        """Write down, in place, which tokens the groups of this `number` extend their rows with."""
        (groups,) = (self._numbers == number).nonzero(as_tuple=True)
        width = self._layout.widest
        tokens = torch.where(picks.alive, picks.chosen.token_ids, -1)[groups]
        first = number * self._layout.widths[groups]
        columns = first[:, None] + torch.arange(width)
        is_slot = torch.arange(width) < self._layout.widths[groups][:, None]
        rows = self._segments[groups][:, None].expand_as(columns)
        taken[rows[is_slot], columns[is_slot]] = tokens[is_slot]


class _Shortlist:
    """The likeliest tokens of every row [R, K], in the order of their ids, so that equals fall to the lower.

    As many as a beam needs, and as many more as earlier groups can have made dearer.
    """

    def __init__(self, values: Tensor, own: Tensor, token_ids: Tensor) -> None:
        self.values, self.own, self.token_ids = values, own, token_ids

    @classmethod
    def of(cls, scores: Scores, count: int) -> _Shortlist:
        values, token_ids = top_tokens(scores.counted, count)
        token_ids, order = token_ids.sort(dim=1)
        values = values.gather(1, order)
        own = scores.own.gather(1, token_ids) if scores.differ else values
        return cls(*to_host(values, own, token_ids))
