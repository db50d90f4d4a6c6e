"""The real positions of a padded batch, with nothing between them, and the way to attention's heads and back.

Knows: which positions are real, where each head's part of a vector stands. Must not know: layers, weights,
what vectors mean.
Shapes: B sentences, S positions of the longest, N real positions of all, H heads, K head width (D = H K).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


@dataclass(frozen=True, slots=True)
class RealPositions:
    """Of one side of a batch, in the order of its rows."""

    mask: Tensor  # [B, S], True: a real token
    places: Tensor  # [N], counted through the rows of the batch

    @classmethod
    def of(cls, mask: Tensor) -> RealPositions:
        return cls(mask, mask.flatten().nonzero().squeeze(1))

    def take(self, padded: Tensor) -> Tensor:
        """[B, S] -> [N]."""
        return padded.flatten()[self.places]

    @property
    def columns(self) -> Tensor:
        """Each one's position in its sentence, [N]."""
        return self.places % self.mask.shape[1]

    def in_heads(self, num_heads: int) -> HeadPlaces:
        length = self.mask.shape[1]
        row, column = self.places[:, None] // length, self.places[:, None] % length
        index = (row * num_heads + torch.arange(num_heads)) * length + column
        return HeadPlaces(index.flatten(), (len(self.mask), num_heads, length))


@dataclass(frozen=True, slots=True)
class HeadPlaces:
    """Where the parts of N vectors, a head's each, stand in [B, H, S, K]."""

    index: Tensor  # [N H]
    shape: tuple[int, int, int]  # B, H, S

    def spread(self, vectors: Tensor) -> Tensor:
        """[N, D] -> [B, H, S, K], zero where there is padding."""
        parts = vectors.reshape(len(self.index), -1)
        number = self.shape[0] * self.shape[1] * self.shape[2]
        out: Tensor = _Spread.apply(parts, self.index, number)  # type: ignore[no-untyped-call]
        return out.view(*self.shape, -1)

    def collect(self, heads: Tensor) -> Tensor:
        """[B, H, S, K] -> [N, D]; what stands at padding is left."""
        out: Tensor = _Collect.apply(heads.flatten(0, 2), self.index)  # type: ignore[no-untyped-call]
        return out.view(len(self.index) // self.shape[1], -1)


def _put(parts: Tensor, index: Tensor, number: int) -> Tensor:
    return parts.new_zeros(number, parts.shape[1]).index_copy_(0, index, parts)


class _Spread(torch.autograd.Function):
    """Every place is one part's, so that each way is a copy; torch's own would add up."""

    @staticmethod
    def forward(ctx: Any, parts: Tensor, index: Tensor, number: int) -> Tensor:
        ctx.save_for_backward(index)
        return _put(parts, index, number)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (index,) = ctx.saved_tensors
        return gradient.index_select(0, index), None, None


class _Collect(torch.autograd.Function):
    """The way back."""

    @staticmethod
    def forward(ctx: Any, heads: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        ctx.number = len(heads)
        return heads.index_select(0, index)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (index,) = ctx.saved_tensors
        return _put(gradient, index, ctx.number), None
