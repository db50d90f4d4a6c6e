"""A linear layer whose answer for a row does not depend on how many rows it is asked with.

Knows: weights, rows, in which numbers a processor's matrix product takes them. Must not know: attention,
layers, what rows mean.
Shapes: N outputs, K inputs.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.training_product import takes, training_product

ROW_TILE = 4  # rows that one step of a processor's matrix product takes


class Linear(nn.Linear):
    """`nn.Linear`, same weights, same names; in inference on a processor, rows are filled up to whole tiles.

    A matrix product adds the terms of a sum in another order for one row than for two, and for these than for
    four or more, and rounds differently: a sentence alone would not give the same bits as in a batch. With
    whole tiles there is one order, whatever the number of rows and of threads.
    """

    def forward(self, x: Tensor) -> Tensor:
        """[..., K] -> [..., N]."""
        num_rows = x.numel() // x.shape[-1]
        if takes(x, self.weight):
            return training_product(x, self.weight, self.bias)
        extra = -num_rows % ROW_TILE
        # In this order: else a compiled training step would be compiled again for each remainder.
        if not in_tiles(x) or not extra:
            return F.linear(x, self.weight, self.bias)
        rows = F.pad(x.reshape(num_rows, x.shape[-1]), (0, 0, 0, extra))
        return F.linear(rows, self.weight, self.bias)[:num_rows].view(*x.shape[:-1], -1)


def in_tiles(x: Tensor) -> bool:
    """Training needs no such promise, and elsewhere than on a processor this does not give it."""
    return x.device.type == "cpu" and not torch.is_grad_enabled()
