"""The end of a step in four kernels of Triton, without the log-probabilities of all tokens: see finish.py.

Knows: the state, its record, which tokens are barred. Must not know: the network, whether it is the way that
is taken (see choose.py).

    block_kernel    [R, V] -> [R, B], [R, P]   of every 64 tokens the best logit, of every 1,024 the sum
    top_kernel             -> [R, C]           the C blocks that are best, and of their tokens the C likeliest
    select_kernel          -> the record       which of its beam's W C candidates each row goes on with
    go_on_kernel           -> the state        follows

A token's log-probability is its logit less the logarithm of the sum; the order of one is that of the other.
That the C best tokens stand in the C best blocks is said in `model.top_tokens`, what a step decides in
`model.beam_step`. Of equals the first counts, everywhere.
Triton reads annotations too: what a kernel names must be its own or `tl`'s, or it does not compile.
The logits of two rows lie `stride` apart (see `weights.output_of`), and are read up to there: behind a mask
that ends anywhere they would be read one by one.
Shapes: R rows, V vocabulary, B blocks, P parts of 16 blocks, W rows of the widest segment, C = 2 W.
"""

from __future__ import annotations

import torch
import triton  # type: ignore[import-not-found]
import triton.language as tl  # type: ignore[import-not-found]
from torch import Tensor

from model.config import ModelConfig
from model.cuda.state import StateView
from model.decoding.constraints import TargetVocabulary

BLOCK, BLOCKS_OF_PART = 64, 16
NOBODY = -1  # in place of a token that is never text, where there are fewer than two


# Compiled once for all values of these, and wherever a row's numbers lie: shapes are many.
ANY_VALUE = ("eos_id", "never", "nor", "num_rows", "count", "last")
ANY_PLACE = ("lengths", "least", "segments", "members", "widths", "totals", "tokens", "counter", "record")


@triton.jit(do_not_specialize=ANY_VALUE, do_not_specialize_on_alignment=ANY_PLACE)  # type: ignore[untyped-decorator]
def block_kernel(
    logits: tl.tensor,
    best: tl.tensor,
    highest: tl.tensor,
    sums: tl.tensor,
    lengths: tl.tensor,
    least: tl.tensor,
    eos_id: tl.tensor,
    never: tl.tensor,
    nor: tl.tensor,
    stride: tl.tensor,
    num_tokens: tl.tensor,
    num_blocks: tl.tensor,
    num_parts: tl.tensor,
    BLOCK_SIZE: tl.constexpr,
    PART: tl.constexpr,
) -> None:
    """One row and part: `best` [R, B] of each block that is not barred; of all, `highest` and `sums` [R, P]
    of exponentials less it."""
    row, part = tl.program_id(0).to(tl.int64), tl.program_id(1)
    blocks = part * PART + tl.arange(0, PART)
    ids = blocks[:, None] * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)[None, :]
    x = tl.load(logits + row * stride + ids, mask=ids < stride, other=float("-inf")).to(tl.float32)
    x = tl.where(ids < num_tokens, x, float("-inf"))
    high = tl.max(tl.max(x, axis=1), axis=0)
    shift = tl.where(high == float("-inf"), 0.0, high)
    tl.store(highest + row * num_parts + part, high)
    tl.store(sums + row * num_parts + part, tl.sum(tl.sum(tl.exp(x - shift), axis=1), axis=0))
    too_short = tl.load(lengths + row) < tl.load(least + row)
    barred = (ids == never) | (ids == nor) | ((ids == eos_id) & too_short)
    free = tl.max(tl.where(barred, float("-inf"), x), axis=1)
    tl.store(best + row * num_blocks + blocks, free, mask=blocks < num_blocks)


@triton.jit(do_not_specialize=ANY_VALUE, do_not_specialize_on_alignment=ANY_PLACE)  # type: ignore[untyped-decorator]
def top_kernel(
    logits: tl.tensor,
    best: tl.tensor,
    highest: tl.tensor,
    sums: tl.tensor,
    values: tl.tensor,
    token_ids: tl.tensor,
    lengths: tl.tensor,
    least: tl.tensor,
    eos_id: tl.tensor,
    never: tl.tensor,
    nor: tl.tensor,
    stride: tl.tensor,
    num_tokens: tl.tensor,
    num_blocks: tl.tensor,
    num_parts: tl.tensor,
    count: tl.tensor,
    BLOCK_SIZE: tl.constexpr,
    PADDED_BLOCKS: tl.constexpr,
    PADDED_PARTS: tl.constexpr,
    PADDED_COUNT: tl.constexpr,
) -> None:
    """One row: `values` and `token_ids` [R, C] of the likeliest. Where fewer are possible, -inf follows."""
    row = tl.program_id(0).to(tl.int64)
    parts = tl.arange(0, PADDED_PARTS)
    of_row = row * num_parts + parts
    high = tl.load(highest + of_row, mask=parts < num_parts, other=float("-inf"))
    mass = tl.load(sums + of_row, mask=parts < num_parts, other=0.0)
    summit = tl.max(high, axis=0)
    log_sum = summit + tl.log(tl.sum(mass * tl.exp(high - summit), axis=0))
    blocks = tl.arange(0, PADDED_BLOCKS)
    left = tl.load(best + row * num_blocks + blocks, mask=blocks < num_blocks, other=float("-inf"))
    nth = tl.arange(0, PADDED_COUNT)
    chosen = tl.zeros([PADDED_COUNT], dtype=tl.int32) + num_blocks  # behind the last: no token is there
    turn = 0
    while turn < count:
        most = tl.max(left, axis=0)
        block = tl.min(tl.where(left == most, blocks, PADDED_BLOCKS - 1), axis=0)
        found = tl.where(most > float("-inf"), block, num_blocks)
        chosen = tl.where(nth == turn, found, chosen)
        left = tl.where(blocks == block, float("-inf"), left)
        turn += 1
    ids = chosen[:, None] * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)[None, :]
    x = tl.load(logits + row * stride + ids, mask=ids < stride, other=float("-inf")).to(tl.float32)
    x = tl.where(ids < num_tokens, x, float("-inf"))
    too_short = tl.load(lengths + row) < tl.load(least + row)
    barred = (ids == never) | (ids == nor) | ((ids == eos_id) & too_short)
    x = tl.where(barred, float("-inf"), x)
    turn = 0
    while turn < count:
        most = tl.max(tl.max(x, axis=1), axis=0)
        token = tl.min(tl.min(tl.where(x == most, ids, num_tokens - 1), axis=1), axis=0)
        tl.store(values + row * count + turn, most - log_sum)
        # Of a row that has no possible token, one that there is all the same.
        tl.store(token_ids + row * count + turn, tl.minimum(token, num_tokens - 1).to(tl.int64))
        x = tl.where(ids == token, float("-inf"), x)
        turn += 1


@triton.jit(do_not_specialize=ANY_VALUE, do_not_specialize_on_alignment=ANY_PLACE)  # type: ignore[untyped-decorator]
def select_kernel(
    values: tl.tensor,
    token_ids: tl.tensor,
    totals: tl.tensor,
    segments: tl.tensor,
    members: tl.tensor,
    widths: tl.tensor,
    counter: tl.tensor,
    record: tl.tensor,
    eos_id: tl.tensor,
    num_rows: tl.tensor,
    count: tl.tensor,
    NUM_FIELDS: tl.constexpr,
    PADDED: tl.constexpr,
) -> None:
    """One row, its place in its beam's order: what `model.cuda.select.Told` says, by number."""
    row = tl.program_id(0)
    own = tl.load(members + row)
    width = tl.load(widths + tl.load(segments + row))
    order = tl.arange(0, PADDED)
    member, nth = order // count, order % count
    rows = row - own + member
    there = (member < width) & (nth < 2 * width) & (rows < num_rows)
    log_probs = tl.load(values + rows * count + nth, mask=there, other=float("-inf")).to(tl.float64)
    tokens = tl.load(token_ids + rows * count + nth, mask=there, other=0)
    sums = tl.load(totals + rows, mask=there, other=float("-inf")) + log_probs
    broken = tl.sum(tl.where(there & (sums != sums), sums, 0.0), axis=0)  # no number, if one of them is none
    left = tl.where(sums == sums, sums, float("-inf"))
    highest = tl.max(left, axis=0) + broken
    nothing = own * 0
    parent, token, num_living, end_row = nothing + row, nothing + eos_id, nothing, nothing - 1
    log_prob = nothing.to(tl.float64) + float("-inf")
    total, end_total = log_prob, log_prob
    # Of the C best at most W end, one of each row: so W of them live on, if so many can.
    rank = 0
    while rank < count:
        most = tl.max(left, axis=0)
        best = order == tl.min(tl.where(left == most, order, PADDED - 1), axis=0)
        best_row = tl.sum(tl.where(best, rows, 0), axis=0)
        best_token = tl.sum(tl.where(best, tokens, 0), axis=0)
        possible, ends = most > float("-inf"), best_token == eos_id
        mine = possible & (ends == 0) & (num_living == own)
        parent, token = tl.where(mine, best_row, parent), tl.where(mine, best_token, token)
        log_prob = tl.where(mine, tl.sum(tl.where(best, log_probs, 0.0), axis=0), log_prob)
        total = tl.where(mine, most, total)
        end_row = tl.where(possible & ends & (own == rank), best_row, end_row)
        end_total = tl.where(own == rank, most, end_total)
        num_living += (possible & (ends == 0)).to(tl.int64)
        left = tl.where(best, float("-inf"), left)
        rank += 1
    line = record + tl.load(counter) * NUM_FIELDS * num_rows + row
    tl.store(line, parent.to(tl.float64))
    tl.store(line + num_rows, token.to(tl.float64))
    tl.store(line + 2 * num_rows, log_prob)
    tl.store(line + 3 * num_rows, total)
    tl.store(line + 4 * num_rows, end_row.to(tl.float64))
    tl.store(line + 5 * num_rows, end_total)
    tl.store(line + 6 * num_rows, highest)
    tl.store(line + 7 * num_rows, tl.load(values + row * count).to(tl.float64))
    tl.store(line + 8 * num_rows, tl.load(token_ids + row * count).to(tl.float64))


@triton.jit(do_not_specialize=ANY_VALUE, do_not_specialize_on_alignment=ANY_PLACE)  # type: ignore[untyped-decorator]
def go_on_kernel(
    record: tl.tensor,
    counter: tl.tensor,
    tokens: tl.tensor,
    totals: tl.tensor,
    lengths: tl.tensor,
    ancestors: tl.tensor,
    moved: tl.tensor,
    num_rows: tl.tensor,
    last: tl.tensor,
    num_positions: tl.tensor,
    NUM_FIELDS: tl.constexpr,
    POSITIONS: tl.constexpr,
) -> None:
    """One row: token, sum and length, and in `moved` [R, T] where its positions lie now."""
    row = tl.program_id(0)
    line = record + tl.load(counter) * NUM_FIELDS * num_rows + row
    parent = tl.load(line).to(tl.int64)
    length = tl.load(lengths + row)
    tl.store(tokens + row, tl.load(line + num_rows).to(tl.int64))
    tl.store(totals + row, tl.load(line + 3 * num_rows))
    start = 0
    while start < num_positions:  # all, filled or not: none may be what was here before
        positions = start + tl.arange(0, POSITIONS)
        there = positions < num_positions
        places = tl.load(ancestors + parent * num_positions + positions, mask=there, other=0)
        tl.store(moved + row * num_positions + positions, places, mask=there)
        start += POSITIONS
    tl.store(lengths + row, tl.minimum(length + 1, last))


def warps_of(candidates: int) -> int:
    """For `select_kernel`: a few dozen are one warp's, which needs no barriers; of the 2,048 of a beam of 32
    one warp would keep most in slow memory, for want of registers."""
    return max(1, candidates // 256)


class FusedFinish:
    """See `Finish`. Raises `ValueError` for a vocabulary with more than two tokens that are never text."""

    def __init__(self, config: ModelConfig) -> None:
        vocabulary = TargetVocabulary.of(config)
        if len(vocabulary.never_ids) > 2:
            raise ValueError(f"never_ids must be two at most, got {len(vocabulary.never_ids)}")
        self._eos_id, self._last = vocabulary.eos_id, config.max_target_length - 1
        self._never = (*vocabulary.never_ids, NOBODY, NOBODY)[:2]

    def __call__(self, logits: Tensor, state: StateView, width: int) -> None:
        values, token_ids = self._top(logits, state, 2 * width)
        self._select(values, token_ids, state)
        self._go_on(state)

    def _top(self, logits: Tensor, state: StateView, count: int) -> tuple[Tensor, Tensor]:
        num_rows, num_tokens = logits.shape
        num_blocks = triton.cdiv(num_tokens, BLOCK)
        num_parts = triton.cdiv(num_blocks, BLOCKS_OF_PART)
        best = logits.new_empty((num_rows, num_blocks), dtype=torch.float32)
        highest = logits.new_empty((num_rows, num_parts), dtype=torch.float32)
        sums = torch.empty_like(highest)
        bars = (state.length, state.least, self._eos_id, *self._never)
        sizes = (logits.stride(0), num_tokens, num_blocks, num_parts)
        block_kernel[(num_rows, num_parts)](
            logits, best, highest, sums, *bars, *sizes, BLOCK_SIZE=BLOCK, PART=BLOCKS_OF_PART, num_warps=4
        )
        values = logits.new_empty((num_rows, count), dtype=torch.float32)
        token_ids = logits.new_empty((num_rows, count), dtype=torch.long)
        top_kernel[(num_rows,)](
            logits,
            best,
            highest,
            sums,
            values,
            token_ids,
            *bars,
            *sizes,
            count,
            BLOCK_SIZE=BLOCK,
            PADDED_BLOCKS=triton.next_power_of_2(num_blocks),
            PADDED_PARTS=triton.next_power_of_2(num_parts),
            PADDED_COUNT=triton.next_power_of_2(count),
            num_warps=4,
        )
        return values, token_ids

    def _select(self, values: Tensor, token_ids: Tensor, state: StateView) -> None:
        num_rows, count = values.shape
        padded = triton.next_power_of_2(count * count // 2)
        select_kernel[(num_rows,)](
            values,
            token_ids,
            state.total,
            state.segment,
            state.member,
            state.width,
            state.counter,
            state.record,
            self._eos_id,
            num_rows,
            count,
            NUM_FIELDS=state.record.shape[1],
            PADDED=padded,
            num_warps=warps_of(padded),
        )

    def _go_on(self, state: StateView) -> None:
        moved = torch.empty_like(state.ancestors)
        go_on_kernel[(len(state.token),)](
            state.record,
            state.counter,
            state.token,
            state.total,
            state.length,
            state.ancestors,
            moved,
            len(state.token),
            self._last,
            state.ancestors.shape[1],
            NUM_FIELDS=state.record.shape[1],
            POSITIONS=64,
            num_warps=2,
        )
        state.ancestors.copy_(moved)
        state.counter.add_(1)
