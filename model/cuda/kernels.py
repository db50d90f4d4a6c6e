"""Attention that reads keys and values where they lie, in one kernel of Triton: nothing is gathered first.

Knows: pools, places, ancestors. Must not know: layers, searches, whether it is the way that is taken (see
attend_choice.py). Softmax is summed up block by block (Milakov and Gimelshein 2018).
Triton reads annotations too: what a kernel names must be its own or `tl`'s, or it does not compile.
Shapes: R rows, G segments, H heads, K head width, N places, T and S positions.
"""

from __future__ import annotations

import triton  # type: ignore[import-not-found]
import triton.language as tl  # type: ignore[import-not-found]
from torch import Tensor

from model.cuda.shapes import StepShape
from model.cuda.state import StateView

BLOCK = 16  # positions read together


@triton.jit  # type: ignore[untyped-decorator]
def _attend(
    query: tl.tensor,
    pool: tl.tensor,
    out: tl.tensor,
    table: tl.tensor,
    lengths: tl.tensor,
    segments: tl.tensor,
    scale: tl.tensor,
    query_stride: tl.tensor,
    table_stride: tl.tensor,
    values_offset: tl.tensor,
    place_stride: tl.tensor,
    position_stride: tl.tensor,
    num_heads: tl.tensor,
    HEAD_WIDTH: tl.constexpr,
    PADDED_WIDTH: tl.constexpr,
    BLOCK_SIZE: tl.constexpr,
    BY_ROW: tl.constexpr,
) -> None:
    """One row and head. BY_ROW: `table` [R, T] has a place for each position, else [G] for each segment."""
    row, head = tl.program_id(0), tl.program_id(1)
    dims = tl.arange(0, PADDED_WIDTH)
    inside = dims < HEAD_WIDTH
    start_of_head = head * HEAD_WIDTH + dims
    asked = tl.load(query + row * query_stride + start_of_head, mask=inside, other=0.0).to(tl.float32) * scale
    if BY_ROW:
        length = tl.load(lengths + row) + 1
        place = length * 0
    else:
        segment = tl.load(segments + row)
        length = tl.load(lengths + segment)
        place = tl.load(table + segment)
    highest = float("-inf")
    total = 0.0
    summed = tl.zeros([PADDED_WIDTH], dtype=tl.float32)
    start = 0
    while start < length:
        positions = start + tl.arange(0, BLOCK_SIZE)
        filled = positions < length
        if BY_ROW:
            places = tl.load(table + row * table_stride + positions, mask=filled, other=0).to(tl.int64)
        else:
            places = tl.zeros([BLOCK_SIZE], dtype=tl.int64) + place
        lines = places * place_stride + positions * position_stride
        where = lines[:, None] + start_of_head[None, :]
        there = filled[:, None] & inside[None, :]
        keys = tl.load(pool + where, mask=there, other=0.0).to(tl.float32)
        scores = tl.where(filled, tl.sum(keys * asked[None, :], axis=1), float("-inf"))
        higher = tl.maximum(highest, tl.max(scores, axis=0))
        weights, shrink = tl.exp(scores - higher), tl.exp(highest - higher)
        values = tl.load(pool + values_offset + where, mask=there, other=0.0).to(tl.float32)
        summed = summed * shrink + tl.sum(values * weights[:, None], axis=0)
        total = total * shrink + tl.sum(weights, axis=0)
        highest = higher
        start += BLOCK_SIZE
    kept = (summed / total).to(out.dtype.element_ty)
    tl.store(out + row * num_heads * HEAD_WIDTH + start_of_head, kept, mask=inside)


class FusedAttend:
    """See `Attend`; each row reads as many positions as it has."""

    any_room = True

    def to_target(self, query: Tensor, pool: Tensor, state: StateView, shape: StepShape) -> Tensor:
        return _run(query, pool, state.ancestors, state.length, state.segment, by_row=True)

    def to_source(self, query: Tensor, pool: Tensor, state: StateView, shape: StepShape) -> Tensor:
        return _run(query, pool, state.source, state.source_length, state.segment, by_row=False)


def _run(
    query: Tensor, pool: Tensor, table: Tensor, lengths: Tensor, segments: Tensor, *, by_row: bool
) -> Tensor:
    """`query` [R, H, K], whose heads lie one behind the other, over `pool` [2, N, T, H, K]."""
    num_rows, num_heads, head_width = query.shape
    out = query.new_empty(query.shape)
    _attend[(num_rows, num_heads)](
        query,
        pool,
        out,
        table,
        lengths,
        segments,
        head_width**-0.5,
        query.stride(0),
        table.stride(0),
        pool.stride(0),
        pool.stride(1),
        pool.stride(2),
        num_heads,
        HEAD_WIDTH=head_width,
        PADDED_WIDTH=triton.next_power_of_2(head_width),
        BLOCK_SIZE=BLOCK,
        BY_ROW=by_row,
        num_warps=2,
    )
    return out
