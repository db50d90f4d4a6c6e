"""What the rows of all live beams hold: tokens so far, their log-probabilities, their running sums.

Knows: histories and the layout of rows. Must not know: when a search ends, options, the network.
Shapes: R rows, T positions reserved (grown in blocks), G segments.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from model.decoding.candidates import RowLayout
from model.decoding.constraints import NEVER

BLOCK = 32  # positions added at a time


class BeamRows:
    """Rows of segments of different widths and lengths. A row with the sum -inf is dead: no beam is on it."""

    def __init__(self, device: torch.device) -> None:
        self.widths: list[int] = []
        self.filled: list[int] = []  # tokens held by each segment's rows; on the host
        self.totals = torch.zeros(0, dtype=torch.float64, device=device)
        self.lengths = torch.zeros(0, dtype=torch.long, device=device)  # [R]
        self.token_ids = torch.zeros(0, BLOCK, dtype=torch.long, device=device)
        self.log_probs = torch.zeros(0, BLOCK, dtype=torch.float64, device=device)
        self.layout = RowLayout.of([], device)

    def add(self, width: int) -> None:
        """One more segment after the others; only its first row is alive, since all would be equal."""
        self.widths.append(width)
        self.filled.append(0)
        self.totals = torch.cat((self.totals, self.totals.new_full((width,), NEVER)))
        self.totals[-width] = 0.0
        self.lengths = pad(self.lengths, (0, width))
        self.token_ids = pad(self.token_ids, (0, 0, 0, width))
        self.log_probs = pad(self.log_probs, (0, 0, 0, width))
        self.layout = RowLayout.of(self.widths, self.totals.device)

    def keep(self, segments: Sequence[bool]) -> None:
        """Drop the segments that are False, with their rows."""
        rows = torch.tensor(segments, device=self.totals.device)[self.layout.segment_of_row]
        self.totals, self.lengths = self.totals[rows], self.lengths[rows]
        self.token_ids, self.log_probs = self.token_ids[rows], self.log_probs[rows]
        self.widths = [width for width, kept in zip(self.widths, segments, strict=True) if kept]
        self.filled = [filled for filled, kept in zip(self.filled, segments, strict=True) if kept]
        self.layout = RowLayout.of(self.widths, self.totals.device)

    def advance(self, parents: Tensor, token_ids: Tensor, log_probs: Tensor, totals: Tensor) -> None:
        """Row r becomes what row `parents[r]` held, plus one token. All [R]; `totals` are the new sums."""
        self._make_room()
        here = torch.arange(len(parents), device=parents.device)
        self.token_ids, self.log_probs = self.token_ids[parents], self.log_probs[parents]
        self.token_ids[here, self.lengths] = token_ids
        self.log_probs[here, self.lengths] = log_probs
        self.lengths = self.lengths + 1
        self.filled = [filled + 1 for filled in self.filled]
        self.totals = totals

    def _make_room(self) -> None:
        if max(self.filled) == self.token_ids.shape[1]:
            self.token_ids = pad(self.token_ids, (0, BLOCK))
            self.log_probs = pad(self.log_probs, (0, BLOCK))
