"""What the rows of all live beams hold: tokens so far, their log-probabilities, their running sums.

Knows: histories and the layout of rows. Must not know: when a search ends, options, the network.
Shapes: R rows, T positions reserved (grown in blocks), G segments, U groups of rows that are one beam.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from model.decoding.candidates import RowLayout
from model.decoding.coverage import Coverage
from model.decoding.history import History
from model.decoding.scoring import NEVER

BLOCK = 32  # positions added at a time


class BeamRows:
    """Rows of segments of different widths and lengths. A row with the sum -inf is dead: no beam is on it.

    A segment's rows are dealt in equal parts to its groups, each of which is a beam of its own; with one
    group each, `groups` and `layout` are the same. All is on the host, since a device would be asked at every
    turn; but for sums of attention, which nobody looks at before a hypothesis ends.
    """

    def __init__(self, device: torch.device) -> None:
        self.widths: list[int] = []
        self.num_groups: list[int] = []
        self.filled: list[int] = []  # tokens held by each segment's rows; on the host
        self.totals = torch.zeros(0, dtype=torch.float64)
        self.lengths = torch.zeros(0, dtype=torch.long)  # [R]
        self.token_ids = torch.zeros(0, BLOCK, dtype=torch.long)
        self.log_probs = torch.zeros(0, BLOCK, dtype=torch.float64)
        self.coverage = Coverage(device)
        self._index()

    def _index(self) -> None:
        """Derive the layouts from the lists."""
        self.layout = self.groups = RowLayout.of(self.widths)
        self.segment_of_group = [i for i, number in enumerate(self.num_groups) for _ in range(number)]
        self.number_of_group = [group for number in self.num_groups for group in range(number)]
        if len(self.segment_of_group) > len(self.widths):
            widths = [self.widths[i] // self.num_groups[i] for i in self.segment_of_group]
            self.groups = RowLayout.of(widths)

    def add(self, width: int, num_groups: int = 1) -> None:
        """One more segment after the others; only each group's first row is alive: all would be equal."""
        self.widths.append(width)
        self.num_groups.append(num_groups)
        self.filled.append(0)
        self.totals = torch.cat((self.totals, self.totals.new_full((width,), NEVER)))
        self.totals[-width :: width // num_groups] = 0.0
        self.lengths = pad(self.lengths, (0, width))
        self.token_ids = pad(self.token_ids, (0, 0, 0, width))
        self.log_probs = pad(self.log_probs, (0, 0, 0, width))
        self.coverage.add_rows(width)
        self._index()

    def keep(self, segments: Sequence[bool]) -> None:
        """Drop the segments that are False, with their rows."""
        rows = torch.tensor(segments)[self.layout.segment_of_row].nonzero()[:, 0]
        self.totals, self.lengths = self.totals[rows], self.lengths[rows]
        self.token_ids, self.log_probs = self.token_ids[rows], self.log_probs[rows]
        self.coverage.choose_rows(rows)
        self.widths, self.num_groups, self.filled = (
            [value for value, kept in zip(values, segments, strict=True) if kept]
            for values in (self.widths, self.num_groups, self.filled)
        )
        self._index()

    def kill(self, groups: Sequence[int]) -> None:
        """No beam is on the rows of these groups any more."""
        dead = torch.zeros(len(self.segment_of_group), dtype=torch.bool)
        dead[list(groups)] = True
        self.totals = self.totals.masked_fill(dead[self.groups.segment_of_row], NEVER)

    def history(self) -> History:
        return History(self.token_ids[:, : max(self.filled)], self.lengths)

    def advance(self, parents: Tensor, token_ids: Tensor, log_probs: Tensor, totals: Tensor) -> None:
        """Row r becomes what row `parents[r]` held, plus one token. All [R]; `totals` are the new sums."""
        self._make_room()
        here = torch.arange(len(parents))
        self.token_ids, self.log_probs = self.token_ids[parents], self.log_probs[parents]
        self.token_ids[here, self.lengths] = token_ids
        self.log_probs[here, self.lengths] = log_probs
        self.coverage.choose_rows(parents)
        self.lengths = self.lengths + 1
        self.filled = [filled + 1 for filled in self.filled]
        self.totals = totals

    def _make_room(self) -> None:
        if max(self.filled) == self.token_ids.shape[1]:
            self.token_ids = pad(self.token_ids, (0, BLOCK))
            self.log_probs = pad(self.log_probs, (0, BLOCK))
