"""What stands between a step's products: tokens to vectors, and sums of two vectors that are normed.

Knows: rows, embeddings, layer norms. Must not know: attention, searches. This is the plain way, as the module
does it: what the faster one (see between_kernels.py) is held against.
Shapes: R rows, D width.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from model.cuda.state import StateView
from model.embeddings import Embedding


class Between(Protocol):
    """One way of doing so."""

    def embed(self, embedding: Embedding, state: StateView) -> Tensor:
        """The vectors of the rows' tokens [R, D]. Where keys and values of their positions will lie is noted
        in `ancestors`."""

    def add_and_norm(self, x: Tensor, y: Tensor, norm: nn.LayerNorm) -> tuple[Tensor, Tensor]:
        """x + y, and that normed [R, D]."""


class PlainBetween:
    """See `Between`."""

    def embed(self, embedding: Embedding, state: StateView) -> Tensor:
        x: Tensor = embedding(state.token, state.length)
        state.ancestors.scatter_(1, state.length[:, None], state.place[:, None].int())
        return x

    def add_and_norm(self, x: Tensor, y: Tensor, norm: nn.LayerNorm) -> tuple[Tensor, Tensor]:
        total = x + y
        return total, norm(total)
