"""What a step makes small: label-smoothed cross-entropy over target tokens.

Knows: logits, wanted ids, padding. Must not know: where they came from. On a GPU cross-entropy has kernels of
its own (loss_kernels.py), where these are found to answer as the plain way does.
Shapes: B sentences, T target, N positions (B times T), V vocabulary.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from model.cuda.proven import chosen

# Logits that are looked at together: on a processor what its cache holds, elsewhere what takes few launches.
CHUNK_ON_CPU = 1 << 18
CHUNK_ELSEWHERE = 1 << 27

# How far kernels may lie from the plain way, by the type of logits. The trial's largest gradient is 0.7: in
# 16 bits one way rounds it once and the other twice, and there two neighbours are 2^-8 apart in bfloat16.
TOLERANCE = {torch.float32: 3e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}


def smoothed_cross_entropy(logits: Tensor, target_ids: Tensor, pad_id: int, smoothing: float) -> Tensor:
    """Mean over real target tokens of -sum_v q(v) log p(v), in nats, as a float32 number (section 5.4 of
    Vaswani et al. 2017).

    q gives 1 - smoothing to the wanted token and spreads `smoothing` evenly over the vocabulary (Szegedy et
    al. 2016, section 7). `logits` [B, T, V], `target_ids` [B, T]; positions equal to `pad_id` do not count.
    """
    wanted = target_ids.flatten()
    real = wanted != pad_id
    weights = real / real.sum()
    flat = logits.flatten(0, -2)
    loss: Tensor = chosen_loss(flat.device, flat.dtype).apply(flat, wanted, weights, smoothing)  # type: ignore[no-untyped-call]
    return loss


@functools.cache
def chosen_loss(device: torch.device, dtype: torch.dtype) -> type[torch.autograd.Function]:
    """`WeightedLoss`, or on a GPU the same in kernels."""
    if device.type != "cuda" or dtype == torch.float64:
        return WeightedLoss

    def fused() -> type[torch.autograd.Function]:
        from training.loss_kernels import FusedLoss

        return FusedLoss

    plain: type[torch.autograd.Function] = WeightedLoss
    return chosen("the loss", plain, fused, LossTrial(device, dtype), TOLERANCE[dtype])


@dataclass(frozen=True, slots=True)
class LossTrial:
    """How far two ways lie apart, on random logits: the largest difference of losses and gradients.

    The vocabulary is larger than two of the blocks that kernels read at a time, and no multiple of one.
    """

    device: torch.device
    dtype: torch.dtype
    vocab_size: int = 9000

    @torch.inference_mode(False)  # who asks first may be a look at a text, which wants no gradient
    @torch.enable_grad()
    def __call__(self, one: type[torch.autograd.Function], other: type[torch.autograd.Function]) -> float:
        generator = torch.Generator().manual_seed(0)
        logits = 4 * torch.randn(8, self.vocab_size, generator=generator)
        wanted = torch.randint(self.vocab_size, (8,), generator=generator).to(self.device)
        weights = (torch.arange(8) % 4 / 12).to(self.device)  # some count for nothing
        found = []
        for way in (one, other):
            leaf = logits.clone().to(self.device, self.dtype).requires_grad_()
            loss = way.apply(leaf, wanted, weights, 0.1)  # type: ignore[no-untyped-call]
            torch.autograd.backward(3 * loss)
            assert leaf.grad is not None
            found.append(torch.cat((loss.detach().float()[None], leaf.grad.float().flatten())))
        return float((found[0] - found[1]).abs().max())


class WeightedLoss(torch.autograd.Function):
    """The sum over positions of weight x loss. Its gradient is made along with it, chunk by chunk.

    Written as a chain of operations the logits would go through memory a dozen times, mostly in float32, and
    every time but two for nothing: loss and gradient both need no more than one softmax.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, wanted: Tensor, weights: Tensor, smoothing: float) -> Tensor:
        """`logits` [N, V], `wanted` [N], `weights` [N] -> a number."""
        learning = ctx.needs_input_grad[0]
        gradient = torch.empty_like(logits) if learning else None
        losses = []
        for rows in chunks(logits):
            # In float32 the gradient is made where it is kept, of other types a chunk is rounded into place.
            place = gradient[rows] if gradient is not None and gradient.dtype == torch.float32 else None
            loss, difference = _losses(logits[rows], wanted[rows, None], smoothing, place)
            losses.append(loss)
            if gradient is not None:
                difference.mul_(weights[rows, None])
                if place is None:
                    gradient[rows] = difference
        if gradient is not None:
            ctx.save_for_backward(gradient)
        return (torch.cat(losses) * weights).sum()  # autocast would have a product in 16 bits

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, factor: Tensor) -> tuple[Tensor, None, None, None]:
        """In place: a second call would fail, as it does where a graph was not retained."""
        (gradient,) = ctx.saved_tensors
        if (
            factor.device.type == "cpu" and float(factor) == 1
        ):  # elsewhere the question would wait for the device
            return gradient, None, None, None
        return gradient.mul_(factor), None, None, None


def chunks(logits: Tensor) -> list[slice]:
    """Runs of positions [N] that are worked on together."""
    numbers = CHUNK_ON_CPU if logits.device.type == "cpu" else CHUNK_ELSEWHERE
    size = max(1, numbers // logits.shape[-1])
    return [slice(start, start + size) for start in range(0, len(logits), size)]


def _losses(logits: Tensor, wanted: Tensor, smoothing: float, place: Tensor | None) -> tuple[Tensor, Tensor]:
    """Of each position, `logits` [n, V] and `wanted` [n, 1]: -sum_v q(v) log p(v) [n], and p - q [n, V],
    made in `place` where there is one.

    With log p(v) = x(v) - log Z the loss is log Z - (1 - s) x(wanted) - s mean(x); and the likeliest token
    tells log Z, since its log p is known as well as its x. p - q is the gradient by x.
    """
    x = logits.float()
    p = torch.softmax(x, -1, out=place) if place is not None else torch.softmax(x, -1)
    log_z = x.amax(-1) - p.amax(-1).log()
    losses = log_z - (1 - smoothing) * x.gather(1, wanted).squeeze(1) - smoothing * x.mean(-1)
    p.sub_(smoothing / x.shape[-1])
    return losses, p.scatter_add_(1, wanted, p.new_full(wanted.shape, smoothing - 1))
