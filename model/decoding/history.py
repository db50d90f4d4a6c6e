"""What rows have written so far, laid out for rules that look back.

Knows: token ids of rows of different lengths. Must not know: rules, searches, segments.
Shapes: R rows, T positions held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

ABSENT = -1  # stands where a row has no token; equal to no token id


@dataclass(frozen=True, slots=True)
class History:
    """`token_ids` [R, T], of which the first `lengths` [R] of each row are real. On the host, as whatever
    is derived of it: which few numbers a rule touches is told to the device, and not asked there."""

    token_ids: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> History:
        lengths = [len(row) for row in rows]
        longest = max(lengths, default=0)
        padded = [[*row, *[ABSENT] * (longest - len(row))] for row in rows]
        token_ids = torch.tensor(padded, dtype=torch.long).view(len(rows), longest)
        return cls(token_ids, torch.tensor(lengths, dtype=torch.long))

    def is_real(self) -> Tensor:
        """[R, T]: which positions hold a token."""
        positions = torch.arange(self.token_ids.shape[1])
        return positions < self.lengths[:, None]

    def tail(self, count: int) -> Tensor:
        """The last `count` tokens of every row [R, count], `ABSENT` where a row has fewer."""
        places = self.lengths[:, None] + torch.arange(-count, 0)
        if not self.token_ids.shape[1]:
            return torch.full_like(places, ABSENT)
        return torch.where(places < 0, ABSENT, self.token_ids.gather(1, places.clamp(min=0)))
