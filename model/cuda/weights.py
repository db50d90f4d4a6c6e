"""The weights of a decoder step in as few products as there can be, made once from the trained module.

Knows: the module's layers. Must not know: caches, rows, graphs.
Shapes: D width, L decoder layers, N outputs, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.layers import DecoderLayer, FeedForward
from model.linear import Linear, in_tiles
from model.transformer import Transformer

LINE = 16  # logits: a row of so many times begins where a GPU reads whole words


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


def feed_forward_of(layer: FeedForward) -> Callable[[Tensor], Tensor]:
    """`layer` for inference: [R, D] -> [R, D]. A rectifier is the end of its first product, as which cuBLASLt
    has it beside the bias: a kernel less in each layer. Of GELU it has only the approximation by tanh."""
    if layer.activation is not F.relu:
        return layer
    return lambda x: cast(Tensor, layer.outer(rectified(layer.inner, x)))


def rectified(layer: nn.Linear, x: Tensor) -> Tensor:
    """max(0, x W + b), [R, D] -> [R, N]."""
    if in_tiles(x):  # a processor has no such end, and rows are to be the same in any company
        return F.relu(layer(x))
    return torch._addmm_activation(layer.bias, x, layer.weight.t(), use_gelu=False)


def output_of(model: Transformer) -> nn.Module:
    """The output projection [R, D] -> [R, V], whose rows begin where a GPU likes to read and write.

    OPUS-MT has 58,101 tokens, NLLB 256,206: rows of such lengths begin anywhere, and are written and read two
    bytes at a time. So a few outputs more are computed, and nobody sees them. The weights of `model` become
    a part of the longer ones: nothing is there twice.
    """
    layer = model.output
    extra = -layer.out_features % LINE
    return _FirstOutputs(model, extra) if extra else layer


class _FirstOutputs(nn.Module):
    def __init__(self, model: Transformer, extra: int) -> None:
        super().__init__()
        layer, old = model.output, model.output.weight
        self._count = layer.out_features
        with torch.device("meta"):
            self._longer = Linear(layer.in_features, self._count + extra, bias=layer.bias is not None)
        self._longer.weight = _constant(F.pad(old.detach(), (0, 0, 0, extra)))
        if layer.bias is not None:
            self._longer.bias = _constant(F.pad(layer.bias.detach(), (0, extra)))
        own = _constant(self._longer.weight[: self._count])
        for module in model.modules():  # embeddings too, where they are tied
            if getattr(module, "weight", None) is old:
                module.weight = own

    def forward(self, x: Tensor) -> Tensor:
        """[R, D] -> [R, V]."""
        return cast(Tensor, self._longer(x))[..., : self._count]


def _constant(numbers: Tensor) -> nn.Parameter:
    return nn.Parameter(numbers, requires_grad=False)
