"""What stands between a step's products, each in one kernel of Triton: see between.py.

Knows: rows, embeddings, layer norms. Must not know: attention, searches, whether it is the way that is taken
(see choose.py). Numbers are rounded where the plain way rounds them: to the network's type after each sum.
Triton reads annotations too: what a kernel names must be its own or `tl`'s, or it does not compile.
Shapes: R rows, D width.
"""

from __future__ import annotations

import torch
import triton  # type: ignore[import-not-found]
import triton.language as tl  # type: ignore[import-not-found]
from torch import Tensor, nn

from model.cuda.state import StateView
from model.embeddings import Embedding

ANY_PLACE = ("token_ids", "lengths", "places")  # compiled once wherever a row's numbers lie: shapes are many


@triton.jit(do_not_specialize_on_alignment=ANY_PLACE)  # type: ignore[untyped-decorator]
def embed_kernel(
    tokens: tl.tensor,
    positions: tl.tensor,
    out: tl.tensor,
    token_ids: tl.tensor,
    lengths: tl.tensor,
    places: tl.tensor,
    ancestors: tl.tensor,
    scale: tl.tensor,
    first: tl.tensor,
    ancestors_stride: tl.tensor,
    WIDTH: tl.constexpr,
    PADDED_WIDTH: tl.constexpr,
) -> None:
    """One row: its token's vector times `scale`, plus that of its position, counted from `first`."""
    row = tl.program_id(0)
    dims = tl.arange(0, PADDED_WIDTH)
    inside = dims < WIDTH
    length = tl.load(lengths + row)
    kind = out.dtype.element_ty
    token = tl.load(tokens + tl.load(token_ids + row) * WIDTH + dims, mask=inside, other=0.0)
    scaled = (token.to(tl.float32) * scale).to(kind).to(tl.float32)
    position = tl.load(positions + (first + length) * WIDTH + dims, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + row * WIDTH + dims, (scaled + position).to(kind), mask=inside)
    place = tl.load(places + row).to(tl.int32)
    tl.store(ancestors + row * ancestors_stride + length, place)


@triton.jit  # type: ignore[untyped-decorator]
def add_and_norm_kernel(
    left: tl.tensor,
    right: tl.tensor,
    total: tl.tensor,
    normed: tl.tensor,
    weight: tl.tensor,
    bias: tl.tensor,
    epsilon: tl.tensor,
    WIDTH: tl.constexpr,
    PADDED_WIDTH: tl.constexpr,
) -> None:
    """One row."""
    row = tl.program_id(0)
    dims = tl.arange(0, PADDED_WIDTH)
    inside = dims < WIDTH
    places = row * WIDTH + dims
    one = tl.load(left + places, mask=inside, other=0.0).to(tl.float32)
    other = tl.load(right + places, mask=inside, other=0.0).to(tl.float32)
    kind = total.dtype.element_ty
    summed = (one + other).to(kind)
    tl.store(total + places, summed, mask=inside)
    x = summed.to(tl.float32)
    mean = tl.sum(x, axis=0) / WIDTH
    centred = tl.where(inside, x - mean, 0.0)
    deviation = tl.sqrt(tl.sum(centred * centred, axis=0) / WIDTH + epsilon)
    factors = tl.load(weight + dims, mask=inside, other=0.0).to(tl.float32)
    shifts = tl.load(bias + dims, mask=inside, other=0.0).to(tl.float32)
    tl.store(normed + places, (centred / deviation * factors + shifts).to(kind), mask=inside)


class FusedBetween:
    """See `Between`."""

    def embed(self, embedding: Embedding, state: StateView) -> Tensor:
        tokens, positions = embedding.tokens.weight, embedding.positions
        num_rows, width = len(state.token), tokens.shape[1]
        x = tokens.new_empty((num_rows, width))
        embed_kernel[(num_rows,)](
            tokens,
            positions.table,
            x,
            state.token,
            state.length,
            state.place,
            state.ancestors,
            embedding.scale,
            positions.first,
            state.ancestors.stride(0),
            WIDTH=width,
            PADDED_WIDTH=triton.next_power_of_2(width),
            num_warps=4,
        )
        normed: Tensor = embedding.norm(x)
        return normed

    def add_and_norm(self, x: Tensor, y: Tensor, norm: nn.LayerNorm) -> tuple[Tensor, Tensor]:
        num_rows, width = x.shape
        total, normed = torch.empty_like(x), torch.empty_like(x)
        add_and_norm_kernel[(num_rows,)](
            x,
            y,
            total,
            normed,
            norm.weight,
            norm.bias,
            norm.eps,
            WIDTH=width,
            PADDED_WIDTH=triton.next_power_of_2(width),
            num_warps=4,
        )
        return total, normed
