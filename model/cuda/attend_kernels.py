"""Attention that reads keys and values where they lie, in one kernel of Triton: nothing is gathered first.

Knows: pools, places, ancestors. Must not know: layers, searches, whether it is the way that is taken (see
choose.py). Softmax is summed up block by block (Milakov and Gimelshein 2018). What a row's new position has
comes straight from the product that made it, and is put in its place on the way.
Triton reads annotations too: what a kernel names must be its own or `tl`'s, or it does not compile.
Shapes: R rows, G segments, H heads, K head width, N places, T and S positions.
"""

from __future__ import annotations

import triton  # type: ignore[import-not-found]
import triton.language as tl  # type: ignore[import-not-found]
from torch import Tensor

from model.cuda.shapes import StepShape
from model.cuda.state import StateView

# Positions read together: most sentences are one turn, whose reads are under way at once. For 64, two warps
# would need 80 registers a thread, and four hold twice as many threads: fewer rows would be there at once.
BLOCK, NUM_WARPS = 32, 2


ANY_PLACE = ("table", "lengths", "own")  # compiled once wherever a row's numbers lie: shapes are many


@triton.jit(do_not_specialize_on_alignment=ANY_PLACE)  # type: ignore[untyped-decorator]
def attend_kernel(
    asked: tl.tensor,
    pool: tl.tensor,
    out: tl.tensor,
    table: tl.tensor,
    lengths: tl.tensor,
    own: tl.tensor,
    scale: tl.tensor,
    asked_stride: tl.tensor,
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
    """One row and head. BY_ROW: `asked` [R, 3, H, K] brings a key and a value for the row's place `own` [R],
    and `table` [R, T] has a place for each position before; else `table` [G] has one for each segment, which
    `own` [R] tells."""
    row, head = tl.program_id(0), tl.program_id(1)
    dims = tl.arange(0, PADDED_WIDTH)
    inside = dims < HEAD_WIDTH
    start_of_head = head * HEAD_WIDTH + dims
    line = asked + row * asked_stride + start_of_head
    query = tl.load(line, mask=inside, other=0.0).to(tl.float32) * scale
    if BY_ROW:
        length = tl.load(lengths + row)
        place = length * 0
        key = tl.load(line + num_heads * HEAD_WIDTH, mask=inside, other=0.0)
        value = tl.load(line + 2 * num_heads * HEAD_WIDTH, mask=inside, other=0.0)
        there = pool + tl.load(own + row) * place_stride + length * position_stride + start_of_head
        tl.store(there, key, mask=inside)
        tl.store(there + values_offset, value, mask=inside)
        highest = tl.sum(key.to(tl.float32) * query, axis=0)
        total = highest * 0.0 + 1.0
        summed = value.to(tl.float32)
    else:
        segment = tl.load(own + row)
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
        wanted = filled[:, None] & inside[None, :]
        keys = tl.load(pool + where, mask=wanted, other=0.0).to(tl.float32)
        scores = tl.where(filled, tl.sum(keys * query[None, :], axis=1), float("-inf"))
        higher = tl.maximum(highest, tl.max(scores, axis=0))
        weights, shrink = tl.exp(scores - higher), tl.exp(highest - higher)
        values = tl.load(pool + values_offset + where, mask=wanted, other=0.0).to(tl.float32)
        summed = summed * shrink + tl.sum(values * weights[:, None], axis=0)
        total = total * shrink + tl.sum(weights, axis=0)
        highest = higher
        start += BLOCK_SIZE
    kept = (summed / total).to(out.dtype.element_ty)
    tl.store(out + row * num_heads * HEAD_WIDTH + start_of_head, kept, mask=inside)


class FusedAttend:
    """See `Attend`; each row reads as many positions as it has."""

    any_room = True

    def to_target(self, new: Tensor, pool: Tensor, state: StateView, shape: StepShape) -> Tensor:
        out = new.new_empty((len(new), *new.shape[2:]))
        return _run(new, pool, out, state.ancestors, state.length, state.place, by_row=True)

    def to_source(self, query: Tensor, pool: Tensor, state: StateView, shape: StepShape) -> Tensor:
        out = query.new_empty(query.shape)
        return _run(query, pool, out, state.source, state.source_length, state.segment, by_row=False)


def _run(
    asked: Tensor, pool: Tensor, out: Tensor, table: Tensor, lengths: Tensor, own: Tensor, *, by_row: bool
) -> Tensor:
    """`asked` [R, ..., H, K], whose heads lie one behind the other, over `pool` [2, N, T, H, K]."""
    num_rows, num_heads, head_width = out.shape
    attend_kernel[(num_rows, num_heads)](
        asked,
        pool,
        out,
        table,
        lengths,
        own,
        head_width**-0.5,
        asked.stride(0),
        table.stride(0),
        pool.stride(0),
        pool.stride(1),
        pool.stride(2),
        num_heads,
        HEAD_WIDTH=head_width,
        PADDED_WIDTH=triton.next_power_of_2(head_width),
        BLOCK_SIZE=BLOCK,
        BY_ROW=by_row,
        num_warps=NUM_WARPS,
    )
    return out
