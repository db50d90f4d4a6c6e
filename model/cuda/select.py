"""One step of plain searches on the device: which row each goes on from, with which token, and what ends.

Knows: sums, likeliest tokens, which rows are one beam. Must not know: the network, when a search stops.
What a step does is said in `model.beam_step`, which this module equals to the last bit. A greedy row is a
beam of one: it has the same token, until `</s>` ends it. Shapes: R rows, G segments, W rows of the widest
segment, C = 2 W tokens looked at, P = W C candidates of a segment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from model.cuda.state import NEVER, StateView
from model.top_tokens import top_without_waiting

NOTHING = -1.0


class Told(NamedTuple):
    """What the host is told of every row, by number: a record [F, R] in float64, which holds every id
    exactly.

    `end_row` is the row that ends as the beam's so-and-so-best candidate (the first row of a beam has its
    best one), -1 where that candidate does not end; `end_total` its sum with `</s>`. `highest` is that of the
    row's beam. `best_value` and `best_id` are of the row's likeliest token, `</s>` included.
    """

    parent: int = 0
    token: int = 1
    log_prob: int = 2
    total: int = 3
    end_row: int = 4
    end_total: int = 5
    highest: int = 6
    best_value: int = 7
    best_id: int = 8


TOLD = Told()


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Of all segments, best first: `totals`, `rows` and `token_ids`, `log_probs` [G + 1, P]."""

    totals: Tensor
    rows: Tensor
    token_ids: Tensor
    log_probs: Tensor


def select(state: StateView, values: Tensor, token_ids: Tensor, eos_id: int) -> Tensor:
    """From the likeliest tokens of every row [R, C] to the record of the step [F, R]."""
    best = _ranked(state, values, token_ids)
    possible = best.totals > NEVER
    ends = possible & (best.token_ids == eos_id)  # those that are as good as the beam is wide are told
    living = possible & (best.token_ids != eos_id)
    pick = _nth(living, values.shape[1] // 2)[state.segment, state.member]
    alive = pick >= 0
    chosen, ending = (state.segment, pick.clamp(min=0)), (state.segment, state.member)
    itself = torch.arange(len(alive), device=values.device)
    return torch.stack(
        (
            torch.where(alive, best.rows[chosen], itself).double(),
            # (`where` would bring a number from the host, which cannot be captured.)
            best.token_ids[chosen].masked_fill(~alive, eos_id).double(),
            best.log_probs[chosen].double().masked_fill(~alive, NEVER),
            best.totals[chosen].masked_fill(~alive, NEVER),
            best.rows[ending].double().masked_fill(~ends[ending], NOTHING),
            best.totals[ending],
            best.totals[state.segment, 0],
            values[:, 0].double(),
            token_ids[:, 0].double(),
        )
    )


def _ranked(state: StateView, values: Tensor, token_ids: Tensor) -> _Candidates:
    """Every segment's candidates: of equal sums first the lower row, then the likelier token."""
    num_rows, looked_at = values.shape
    shape = (len(state.width), looked_at // 2, looked_at)
    reach = 2 * state.width[state.segment]
    beyond = torch.arange(looked_at, device=values.device) >= reach[:, None]
    sums = (state.total[:, None] + values.double()).masked_fill(beyond, NEVER)
    totals = sums.new_full(shape, NEVER)
    totals[state.segment, state.member] = sums
    ordered = torch.sort(totals.flatten(1), dim=1, descending=True, stable=True)
    members, nth = ordered.indices // looked_at, ordered.indices % looked_at
    rows = state.segment.new_zeros(shape[:2])
    rows[state.segment, state.member] = torch.arange(num_rows, device=values.device)
    rows = rows.gather(1, members)
    return _Candidates(ordered.values, rows, token_ids[rows, nth], values[rows, nth])


def _nth(living: Tensor, most: int) -> Tensor:
    """The place of the n-th that lives, for each n below `most` [G + 1, W]; -1: there is
    none."""
    rank = living.cumsum(dim=1) - 1
    column = rank.masked_fill(~living | (rank >= most), most)  # the last column takes what nobody wants
    places = torch.arange(living.shape[1], device=living.device).expand_as(column)
    return column.new_full((len(living), most + 1), -1).scatter(1, column, places)[:, :most]


def top_of(
    log_probs: Tensor, state: StateView, width: int, never_ids: Tensor, eos_id: int
) -> tuple[Tensor, Tensor]:
    """The 2 `width` likeliest tokens of each row [R, C], without what is barred; overwrites `log_probs`."""
    log_probs.index_fill_(1, never_ids, NEVER)
    log_probs[:, eos_id].masked_fill_(state.length < state.least, NEVER)
    return top_without_waiting(log_probs, 2 * width)
