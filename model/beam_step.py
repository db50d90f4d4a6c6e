"""One step of plain beams: who lives on and what ends, from the likeliest tokens of every row.

Knows: running sums, log-probabilities of the best tokens, rows. Must not know: histories, options, stopping.
Rows of a beam stand together; beams of different widths may stand side by side. What a step means is said in
`model.decoding.beam`; that module's tensors and this module answer the same to the last bit.
Shapes: R rows, U beams, K tokens looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import itemgetter
from typing import NamedTuple

import torch
from torch import Tensor

NEVER = float("-inf")


class End(NamedTuple):
    """A hypothesis that ends: of which beam, what which row held before this step, its sum with `</s>`."""

    beam: int
    row: int
    total: float


@dataclass(frozen=True, slots=True)
class BeamStep:
    """How R rows go on. A row that no beam is on any more has the sum -inf and repeats itself with `</s>`."""

    parents: Sequence[int]  # [R]: the row that each continues
    token_ids: Sequence[int]  # [R]
    log_probs: Sequence[float]  # [R], of the token alone
    totals: Sequence[float]  # [R]
    ends: Sequence[End]  # in the order of beams, the best of each first
    best_live: Sequence[float]  # [U]: the highest sum that lives on
    highest: Sequence[float]  # [U]: of all candidates; no number, where some row's are none
    moves: Tensor | None  # `parents` as a network takes them [R]; None: no row moves
    tokens: Tensor  # `token_ids` as a network takes them [R]


class _Candidate(NamedTuple):
    total: float
    row: int
    token_id: int
    log_prob: float


def tokens_to_look_at(widths: Sequence[int]) -> int:
    """Two for each row of the widest beam: one that ends the row, and so many others as may live on."""
    return 2 * max(widths)


def extend_beams(
    widths: Sequence[int], totals: Sequence[float], values: Tensor, token_ids: Tensor, eos_id: int
) -> BeamStep:
    """`totals` [R] are the rows' sums, `values` and `token_ids` [R, K] their likeliest tokens, best first.

    K is `tokens_to_look_at`, or all tokens where there are fewer. Sums are added in float64.
    """
    value_rows, token_rows = values.tolist(), token_ids.tolist()
    chosen, ends, best_live, highest = list[_Candidate](), list[End](), list[float](), list[float]()
    last_rows = accumulate(widths)
    for beam, (last_row, width) in enumerate(zip(last_rows, widths, strict=True)):
        rows = range(last_row - width, last_row)
        best = _best(rows, totals, value_rows, token_rows)
        possible = [one for one in best if one.total > NEVER]
        living = [one for one in possible if one.token_id != eos_id]
        ends += [End(beam, one.row, one.total) for one in possible[:width] if one.token_id == eos_id]
        best_live.append(living[0].total if living else NEVER)
        highest.append(_highest(rows, value_rows, best))
        chosen += living[:width]
        chosen += [_Candidate(NEVER, row, eos_id, NEVER) for row in rows[len(living) :]]
    sums, parents, tokens, log_probs = map(list, zip(*chosen, strict=True))
    moves = None if parents == list(range(len(parents))) else values.new_tensor(parents, dtype=torch.long)
    return BeamStep(
        parents, tokens, log_probs, sums, ends, best_live, highest, moves, token_ids.new_tensor(tokens)
    )


def _best(
    rows: range, totals: Sequence[float], values: list[list[float]], token_ids: list[list[int]]
) -> list[_Candidate]:
    """The best candidates of a beam: of equal sums first the lower row, then the likelier token."""
    reach = 2 * len(rows)
    every = [
        _Candidate(totals[row] + value, row, token_id, value)
        for row in rows
        for value, token_id in zip(values[row][:reach], token_ids[row][:reach], strict=True)
    ]
    every.sort(key=itemgetter(0), reverse=True)  # equals stay in their order
    return every[:reach]


def _highest(rows: range, values: list[list[float]], best: Sequence[_Candidate]) -> float:
    """A number that is none stands first in its row, but in no particular place of a sorted list."""
    return next((values[row][0] for row in rows if values[row][0] != values[row][0]), best[0].total)
