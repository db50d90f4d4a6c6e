"""Dropout whose random numbers cost little on a processor (section 5.4 of Vaswani et al. 2017).

Knows: a share to drop, torch's own generator, so that a seed decides. Must not know: what is dropped.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEVELS = 1 << 16  # a number is dropped by 16 random bits of its own
LOWEST = -(1 << 15)
NUMBERS_PER_DRAW = 4  # as many as one random 64-bit integer decides


def drop(x: Tensor, share: float) -> Tensor:
    """Zero each number with probability `share` and divide the others by what is kept: expected, `x` itself.

    On a processor torch draws and compares one random number for each of `x`; four from one draw take a fifth
    of the time. There `share` is rounded to a multiple of 2^-16, and what divides is the rounded one.
    """
    if share == 0:
        return x
    if x.device.type != "cpu" or torch.compiler.is_compiling():  # a compiler has its own random numbers
        return F.dropout(x, share)
    dropped = min(round(share * LEVELS), LEVELS - 1)
    kept = torch.ge(_random_int16(x), LOWEST + dropped, out=torch.empty_like(x))
    return x * kept.mul_(LEVELS / (LEVELS - dropped))


def _random_int16(x: Tensor) -> Tensor:
    """Independent integers, uniform over all of int16, in the shape of `x`."""
    draws = torch.empty(-(-x.numel() // NUMBERS_PER_DRAW), dtype=torch.int64)
    draws.random_(torch.iinfo(torch.int64).min, None)
    return draws.view(torch.int16)[: x.numel()].view(x.shape)


class Dropout(nn.Dropout):
    """`drop` while training, nothing otherwise."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape, kept."""
        return drop(x, self.p) if self.training else x
