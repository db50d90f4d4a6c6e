"""The loss of label-smoothed cross-entropy and its gradient, in a kernel of Triton each: see loss.py.

Knows: logits, wanted ids, weights. Must not know: where they came from, whether it is the way that is taken.
The plain way reads and writes the logits of a step a dozen times, mostly in float32; here they are read
twice, as they are, and their gradient is written once.
Triton reads annotations too: what a kernel names must be its own or `tl`'s, or it does not compile.
Shapes: N positions, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
import triton  # type: ignore[import-not-found]
import triton.language as tl  # type: ignore[import-not-found]
from torch import Tensor
from torch.autograd.function import once_differentiable

BLOCK = 4096  # logits read together


@triton.jit  # type: ignore[untyped-decorator]
def loss_kernel(
    logits: tl.tensor,
    wanted: tl.tensor,
    losses: tl.tensor,
    log_sums: tl.tensor,
    smoothing: tl.tensor,
    num_tokens: tl.tensor,
    BLOCK_SIZE: tl.constexpr,
) -> None:
    """One position: log Z - (1 - s) x(wanted) - s mean(x), and log Z, summed up block by block."""
    row = tl.program_id(0).to(tl.int64)
    line = logits + row * num_tokens
    highest = float("-inf")
    total = 0.0
    whole = 0.0
    start = 0
    while start < num_tokens:
        ids = start + tl.arange(0, BLOCK_SIZE)
        there = ids < num_tokens
        x = tl.load(line + ids, mask=there, other=float("-inf")).to(tl.float32)
        higher = tl.maximum(highest, tl.max(x, axis=0))
        total = total * tl.exp(highest - higher) + tl.sum(tl.exp(x - higher), axis=0)
        whole += tl.sum(tl.where(there, x, 0.0), axis=0)
        highest = higher
        start += BLOCK_SIZE
    log_sum = highest + tl.log(total)
    own = tl.load(line + tl.load(wanted + row)).to(tl.float32)
    tl.store(losses + row, log_sum - (1.0 - smoothing) * own - smoothing * whole / num_tokens)
    tl.store(log_sums + row, log_sum)


@triton.jit  # type: ignore[untyped-decorator]
def gradient_kernel(
    logits: tl.tensor,
    wanted: tl.tensor,
    log_sums: tl.tensor,
    weights: tl.tensor,
    factor: tl.tensor,
    gradient: tl.tensor,
    smoothing: tl.tensor,
    num_tokens: tl.tensor,
    BLOCK_SIZE: tl.constexpr,
) -> None:
    """One position: (p - q) times its weight and the one `factor`."""
    row = tl.program_id(0).to(tl.int64)
    token, log_sum = tl.load(wanted + row), tl.load(log_sums + row)
    scale = tl.load(weights + row) * tl.load(factor)
    start = 0
    while start < num_tokens:
        ids = start + tl.arange(0, BLOCK_SIZE)
        there = ids < num_tokens
        x = tl.load(logits + row * num_tokens + ids, mask=there, other=float("-inf")).to(tl.float32)
        q = smoothing / num_tokens + tl.where(ids == token, 1.0 - smoothing, 0.0)
        slope = (tl.exp(x - log_sum) - q) * scale
        tl.store(gradient + row * num_tokens + ids, slope.to(gradient.dtype.element_ty), mask=there)
        start += BLOCK_SIZE


class FusedLoss(torch.autograd.Function):
    """See `training.loss.WeightedLoss`."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, wanted: Tensor, weights: Tensor, smoothing: float) -> Tensor:
        logits = logits.contiguous()
        num_rows, num_tokens = logits.shape
        losses = logits.new_empty(num_rows, dtype=torch.float32)
        log_sums = torch.empty_like(losses)
        sizes: dict[str, int] = {"BLOCK_SIZE": BLOCK, "num_warps": 8}
        loss_kernel[(num_rows,)](logits, wanted, losses, log_sums, smoothing, num_tokens, **sizes)
        ctx.save_for_backward(logits, wanted, weights, log_sums)
        ctx.smoothing, ctx.sizes = smoothing, sizes
        return (losses * weights).sum()  # autocast would have a product in 16 bits

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, factor: Tensor) -> tuple[Tensor, None, None, None]:
        logits, wanted, weights, log_sums = ctx.saved_tensors
        gradient, (num_rows, num_tokens) = torch.empty_like(logits), logits.shape
        gradient_kernel[(num_rows,)](
            logits, wanted, log_sums, weights, factor, gradient, ctx.smoothing, num_tokens, **ctx.sizes
        )
        return gradient, None, None, None
