"""The weights of a decoder step in as few products as there can be, made once from the trained module.

Knows: the module's layers. Must not know: caches, rows, graphs.
Shapes: D width, L decoder layers, N outputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.layers import DecoderLayer
from model.transformer import Transformer


@dataclass(frozen=True, slots=True)
class Fused:
    """Several linear layers over the same input, as one: weight [N, D], bias [N]."""

    weight: Tensor
    bias: Tensor

    @classmethod
    def of(cls, layers: Sequence[nn.Linear]) -> Fused:
        weight = torch.cat([layer.weight.detach() for layer in layers])
        return cls(weight, torch.cat([layer.bias.detach() for layer in layers]))

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    @property
    def num_bytes(self) -> int:
        return sum(t.numel() * t.element_size() for t in (self.weight, self.bias))


class FusedWeights:
    """`self_attention[l]`: query, key and value of layer l, [3 D, D]. `sources`: keys and values of all
    layers from the encoder's output, [L 2 D, D], in this order."""

    def __init__(self, model: Transformer) -> None:
        layers = list(cast(Iterable[DecoderLayer], model.decoder))
        blocks = [layer.self_attention for layer in layers]
        self.self_attention = [Fused.of((block.query, block.key, block.value)) for block in blocks]
        crosses = [layer.cross_attention for layer in layers]
        self.sources = Fused.of([part for cross in crosses for part in (cross.key, cross.value)])

    @property
    def num_bytes(self) -> int:
        return sum(fused.num_bytes for fused in (*self.self_attention, self.sources))
