"""The Transformer less a part: no positions, or products not divided by the square root of the heads' width.

Knows: where these parts stand in the network. Must not know: how it is trained. The weights keep their names,
so that states and snapshots are those of the whole network; a bundle would not say what is missing, so none
is made.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from model.attention import MultiHeadAttention
from model.config import ModelConfig
from model.linear import Linear
from model.transformer import Transformer
from training.baselines.config import Part


class ReducedTransformerNetwork(Transformer):
    """A Transformer of `ModelConfig`'s family `without` some parts."""

    def __init__(self, sizes: ModelConfig, without: Iterable[Part]) -> None:
        super().__init__(sizes)
        if "positions" in without:
            self._forget_positions()
        if "attention-scale" in without:
            self._unscale_attention()

    def _forget_positions(self) -> None:
        """Zero vectors, which learned ones would leave: they are no parameters any more."""
        for embedding in (self.source_embedding, self.target_embedding):
            zeros = torch.zeros_like(embedding.positions.table.detach())
            del embedding.positions.table
            embedding.positions.register_buffer("table", zeros, persistent=False)

    def _unscale_attention(self) -> None:
        """Queries are enlarged by what attention divides them by."""
        for block in [module for module in self.modules() if isinstance(module, MultiHeadAttention)]:
            width = block.query.out_features
            block.query = _EnlargedLinear(block.query, (width // block.num_heads) ** 0.5)


class _EnlargedLinear(Linear):
    """A linear layer with its weights, times a fixed number."""

    def __init__(self, linear: Linear, factor: float) -> None:
        super().__init__(linear.in_features, linear.out_features)
        self.weight, self.bias, self.factor = linear.weight, linear.bias, factor

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.factor
