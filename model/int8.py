"""An inference-only copy of a network whose matrix products are of 8-bit integers. CPU only.

Knows: linear layers, quantisation, oneDNN's integer product. Must not know: decoding, bundles, requests.
Shapes: R rows, N outputs, K inputs.

    weights       s8, symmetric, one scale per output       w ~ q_w s_w,  s_w = max|w| / 127
    activations   s8, symmetric, one scale per row, found   x ~ q_x s_x,  s_x = max|x| / 127
                  anew at every call
    product       sum(q_x q_w) is exact in 32-bit integers, so a row has the same bits in any batch

The integer product takes unsigned activations: q_x + 128, and 128 sum(q_w) is taken off its result.
Embeddings, layer norms, attention and softmax stay what they were. The trained module is not touched.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from model.transformer import Transformer

LARGEST = 127  # of a quantised value, either sign
OFFSET = 128  # makes a quantised activation unsigned
SMALLEST_SCALE = 1e-12  # of a row or an output that is all zeros


class Int8Linear(nn.Module):
    """What a linear layer answers, from quantised weights and activations: [..., K] -> [..., N], float32."""

    scales: Tensor
    correction: Tensor
    packed: Tensor
    zero_points: Tensor
    bias: Tensor | None

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        quantised, scales = quantise_rows(layer.weight.detach().float())
        self._quantised = quantised.to(torch.int8)
        self.register_buffer("scales", scales[:, 0].contiguous())
        self.register_buffer("correction", OFFSET * quantised.double().sum(1).float() * self.scales)
        self.register_buffer("zero_points", torch.zeros(len(quantised), dtype=torch.int32))
        # Packed as the processor's kernel reads it; that layout means nothing anywhere else.
        self.register_buffer("packed", torch.ops.onednn.qlinear_prepack(self._quantised, None))
        self.register_buffer("bias", None if layer.bias is None else layer.bias.detach().float().clone())

    @property
    def weight(self) -> Tensor:
        """The weights that this layer stands for, [N, K] in float32, made when asked."""
        return self._quantised.float() * self.scales[:, None]

    def forward(self, x: Tensor) -> Tensor:
        rows, row_scales = quantise_rows(x.reshape(-1, self.in_features))
        sums: Tensor = torch.ops.onednn.qlinear_pointwise(
            (rows + OFFSET).to(torch.uint8),
            1.0,
            0,
            self.packed,
            self.scales,
            self.zero_points,
            None,
            1.0,
            0,
            torch.float32,
            "none",
            [],
            "",
        )
        out = (sums - self.correction) * row_scales
        return (out if self.bias is None else out + self.bias).view(*x.shape[:-1], self.out_features)


def quantise_rows(values: Tensor) -> tuple[Tensor, Tensor]:
    """[R, K] -> whole numbers in -127..127, as floats [R, K], and scales [R, 1]."""
    scales = (values.abs().amax(1, keepdim=True) / LARGEST).clamp_min(SMALLEST_SCALE)
    return torch.round(values / scales), scales


def int8_copy(model: Transformer) -> Transformer:
    """A network in eval mode that decodes like `model`, with every linear layer, the output too, in 8 bits.

    `model` stays as it is. Raises `ValueError` when it is not on the CPU in float32.
    """
    weight = model.output.weight
    if weight.device.type != "cpu" or weight.dtype != torch.float32:
        raise ValueError(f"int8 is made from float32 on the CPU, got {weight.dtype} on {weight.device}")
    prepared = copy.deepcopy(model).eval().requires_grad_(False)
    for name, layer in list(prepared.named_modules()):
        if isinstance(layer, nn.Linear):
            owner, _, leaf = name.rpartition(".")
            setattr(prepared.get_submodule(owner), leaf, Int8Linear(layer))
    return prepared
