"""The product of a linear layer that learns, in float32 on a processor: the faster one of torch's two.

Knows: which product torch offers, and the gradients of one. Must not know: layers, rows' meaning, inference.
Shapes: N outputs, K inputs.

In float32 torch multiplies by MKL unless it is asked otherwise. At the sizes of this family oneDNN, which it
holds as well and uses for bfloat16, took an eighth less time for outputs and for the gradient by the inputs;
for that by the weights, where both factors would have to be turned around, it took as much or more.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def takes(x: Tensor, weight: Tensor) -> bool:
    """Whether `training_product` is for these: a gradient is wanted, of float32 numbers, on a processor.

    Not under autocast, which would not see the product to round it; not while a compiler looks, which has
    products of its own.
    """
    return (
        torch.is_grad_enabled()
        and weight.requires_grad
        and x.dtype == weight.dtype == torch.float32
        and x.device.type == weight.device.type == "cpu"
        and x.numel() > 0
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and _HAS_ONEDNN
    )


def training_product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x W^T + b: `x` [..., K], `weight` [N, K], `bias` [N] -> [..., N]."""
    out: Tensor = _Product.apply(x, weight, bias)  # type: ignore[no-untyped-call]
    return out


def _times_transposed(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return cast(Tensor, torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], ""))


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _times_transposed(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        by_x, by_weight, by_bias = ctx.needs_input_grad
        rows = gradient.reshape(-1, gradient.shape[-1])
        return (
            _times_transposed(gradient, weight.t()) if by_x else None,
            rows.t() @ x.reshape(-1, x.shape[-1]) if by_weight else None,
            rows.sum(0) if by_bias else None,
        )


_HAS_ONEDNN = bool(
    torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    and hasattr(torch.ops.mkldnn, "_linear_pointwise")
)
