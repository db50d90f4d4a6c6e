"""The best continuations of beams: top tokens of every row, then the best of every segment.

Knows: log-probabilities, running sums, which row is whose. Must not know: hypotheses, options, stopping.
Shapes: R rows, V vocabulary, G segments, W rows of the widest segment, N candidates kept per segment (2 W).
Order is total: higher sum, then lower row, then lower token id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.decoding.scoring import NEVER
from model.top_tokens import top_tokens
from model.transfers import to_host


@dataclass(frozen=True, slots=True)
class RowLayout:
    """Which row is whose, for segments of different widths: rows of a segment stand together, in slots.

    segment   0   0   0   1   1
    row       0   1   2   3   4
    slot      0   1   2   0   1         widths (3, 2), W = 3: slot 2 of segment 1 is unused
    """

    widths: Tensor  # [G]
    segment_of_row: Tensor  # [R]
    slot_of_row: Tensor  # [R]
    widest: int  # W

    @classmethod
    def of(cls, widths: Sequence[int]) -> RowLayout:
        counts = torch.tensor(widths, dtype=torch.long)
        first_row = counts.cumsum(0) - counts
        segment_of_row = torch.repeat_interleave(torch.arange(len(counts)), counts)
        slot_of_row = torch.arange(len(segment_of_row)) - first_row[segment_of_row]
        widest = max(widths, default=0)
        return cls(counts, segment_of_row, slot_of_row, widest)

    def grid(self, values: Tensor, empty: float) -> Tensor:
        """Per row [R, ...] to per segment and slot [G, W, ...]; unused slots hold `empty`."""
        grid = values.new_full((len(self.widths), self.widest, *values.shape[1:]), empty)
        grid[self.segment_of_row, self.slot_of_row] = values
        return grid

    def rows(self, grid: Tensor) -> Tensor:
        """The inverse of `grid`: [G, W, ...] to [R, ...]."""
        return grid[self.segment_of_row, self.slot_of_row]


@dataclass(frozen=True, slots=True)
class Candidates:
    """The N best continuations of every segment, best first: [G, N] each. A sum of -inf is no candidate."""

    totals: Tensor  # sum of log-probabilities, this token's included (float64)
    log_probs: Tensor  # of this token alone, as the model has it (float64)
    rows: Tensor  # the row that is continued
    token_ids: Tensor

    def gather(self, picks: Tensor) -> Candidates:
        """The candidates at `picks` [G, P] -> [G, P] each."""
        fields = (self.totals, self.log_probs, self.rows, self.token_ids)
        return Candidates(*(field.gather(1, picks) for field in fields))


def best_candidates(
    totals: Tensor, log_probs: Tensor, layout: RowLayout, own: Tensor | None = None
) -> Candidates:
    """The 2 W best of each segment. `totals` [R] (float64) are the rows' sums so far, -inf on a dead row.

    `log_probs` [R, V] are what is added up; `own` [R, V] are what is told of a token, where that differs.
    These two lie on the device; from the likeliest tokens on all is on the host, and waited for once.
    Two per beam are enough: each row has one candidate that ends it, so W of them go on, if so many can.
    """
    count = 2 * layout.widest
    values, token_ids = top_tokens(log_probs, count)
    told = values if own is None else own.gather(1, token_ids)
    values, told, token_ids = to_host(values, told, token_ids)
    sums = layout.grid(totals[:, None] + values, NEVER).flatten(1)
    ordered = torch.sort(sums, dim=1, descending=True, stable=True)
    return all_candidates(sums, told, token_ids, layout).gather(ordered.indices[:, :count])


def all_candidates(sums: Tensor, log_probs: Tensor, token_ids: Tensor, layout: RowLayout) -> Candidates:
    """Every pair of a row and one of its `token_ids` [R, K], as candidates [G, W K] in the order of rows.

    `sums` [G, W K] lie in that order already; `log_probs` [R, K].
    """
    rows = torch.arange(len(token_ids))[:, None].expand_as(token_ids)
    columns = ((log_probs.double(), NEVER), (rows, 0), (token_ids, 0))
    return Candidates(sums, *(layout.grid(values, empty).flatten(1) for values, empty in columns))
