"""R-Drop's loss (Liang et al. 2021): cross-entropy of two passes with other dropout, and that they disagree.

Knows: logits of both passes, wanted ids, padding. Must not know: where they came from.
Shapes: B sentences, T target, N positions of one pass, n those of a chunk, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from training.loss import chunks


def r_drop_loss(
    logits: Tensor, target_ids: Tensor, pad_id: int, smoothing: float, alpha: float
) -> tuple[Tensor, Tensor]:
    """The loss of two passes of one batch with other dropout, and the part of it that is cross-entropy, of
    which no gradient can be asked.

    `logits` [2B, T, V]: the first B rows are one pass, the others the second; `target_ids` [B, T]. This is
    half of equation 4 of the paper, so that without disagreement it is the cross-entropy:
    (L1 + L2) / 2 + alpha / 4 (KL(p1, p2) + KL(p2, p1)), each a mean over real target tokens, in nats.
    """
    wanted = target_ids.flatten()
    real = wanted != pad_id
    loss: Tensor
    entropy: Tensor
    loss, entropy = AgreeingLoss.apply(  # type: ignore[no-untyped-call]
        logits.flatten(0, -2), wanted, real / real.sum(), smoothing, alpha / 4
    )
    return loss, entropy


class AgreeingLoss(torch.autograd.Function):
    """The sums over positions of weight x (cross-entropy + pull x disagreement), and of weight x
    cross-entropy. The gradient is made along with them, chunk by chunk: as a chain of operations, with every
    number of both passes in float32 a dozen times, this took eight times as long as the cross-entropy."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, wanted: Tensor, weights: Tensor, smoothing: float, pull: float
    ) -> tuple[Tensor, Tensor]:
        """`logits` [2N, V], `wanted` [N], `weights` [N] -> two numbers."""
        gradient = torch.empty_like(logits) if ctx.needs_input_grad[0] else None
        found = []
        for rows in chunks(logits[: len(wanted)]):
            halves = [_Half.of(half[rows], wanted[rows], smoothing) for half in logits.chunk(2)]
            gap, divergences = _compare(*halves)
            entropy = (halves[0].losses + halves[1].losses) / 2
            found.append(torch.stack((entropy + pull * (divergences[0] + divergences[1]), entropy)))
            if gradient is not None:
                slopes = _slopes(halves, gap, divergences, pull)
                for half, slope in zip(gradient.chunk(2), slopes, strict=True):
                    slope.sub_(smoothing / 2 / slope.shape[-1])
                    own = slope.new_full((len(slope), 1), (smoothing - 1) / 2)
                    half[rows] = slope.scatter_add_(1, wanted[rows, None], own).mul_(weights[rows, None])
        if gradient is not None:
            ctx.save_for_backward(gradient)
        loss, entropy = (torch.cat(found, 1) * weights).sum(1).unbind()
        entropy = entropy.clone()
        ctx.mark_non_differentiable(entropy)
        return loss.clone(), entropy

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, factor: Tensor, _: Tensor) -> tuple[Tensor, None, None, None, None]:
        """In place: a second call would fail, as it does where a graph was not retained."""
        (gradient,) = ctx.saved_tensors
        return gradient.mul_(factor), None, None, None, None


@dataclass(frozen=True, slots=True)
class _Half:
    """Positions of one pass: logits `x` and probabilities `p` [n, V], `log_z` and cross-entropies [n]."""

    x: Tensor
    p: Tensor
    log_z: Tensor
    losses: Tensor

    @classmethod
    def of(cls, logits: Tensor, wanted: Tensor, smoothing: float) -> _Half:
        x = logits.float()
        p = torch.softmax(x, -1)
        log_z = x.amax(-1) - p.amax(-1).log()
        right = x.gather(1, wanted[:, None]).squeeze(1)
        return cls(x, p, log_z, log_z - (1 - smoothing) * right - smoothing * x.mean(-1))


def _compare(one: _Half, other: _Half) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """log p1 - log p2 [n, V], KL(p1, p2) and KL(p2, p1) [n]."""
    gap = (one.x - other.x).sub_((one.log_z - other.log_z)[:, None])
    return gap, (torch.linalg.vecdot(one.p, gap), -torch.linalg.vecdot(other.p, gap))


def _slopes(
    halves: list[_Half], gap: Tensor, divergences: tuple[Tensor, Tensor], pull: float
) -> tuple[Tensor, Tensor]:
    """By the logits of each pass [n, V], without what is wanted.

    Both divergences together are sum_v (p1 - p2) gap, whose derivative by the first pass's log p is
    p1 - p2 + p1 gap; through the softmax it is p1 - p2 + p1 (gap - KL(p1, p2)).
    """
    p1, p2 = halves[0].p, halves[1].p
    first = torch.add((pull * (1 - divergences[0]) + 0.5)[:, None], gap, alpha=pull).mul_(p1)
    second = torch.sub((pull * (1 - divergences[1]) + 0.5)[:, None], gap, alpha=pull).mul_(p2)
    return first.sub_(p2, alpha=pull), second.sub_(p1, alpha=pull)
