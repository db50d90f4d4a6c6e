"""The native choosing among a step's logits: the likeliest tokens of rows, one step of plain beams.

Knows: the C interface of `src/select.h`. Must not know: how logits come about, strategies, histories.
Shapes: R rows, U beams, V vocabulary, N barred pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import addressof, byref, c_double, c_int64

import torch
from torch import Tensor

from model.beam_step import BeamStep, End
from model.native.binding import BeamsIn, BeamsOut, Library, StepLogits


def top(library: Library, given: StepLogits, count: int) -> tuple[Tensor, Tensor]:
    """See `StepScores.top`; `count` is at most V."""
    values = torch.empty(given.rows, count)
    token_ids = torch.empty(given.rows, count, dtype=torch.long)
    library.call("verto_top", byref(given), count, values.data_ptr(), token_ids.data_ptr())
    return values, token_ids


def extend_beams(
    library: Library, given: StepLogits, widths: Sequence[int], totals: Sequence[float], eos_id: int
) -> BeamStep:
    """See `StepScores.extend_beams`."""
    rows, beams = given.rows, len(widths)
    numbers = torch.empty(3 * rows + 2 * beams, dtype=torch.float64)
    places = torch.empty(4 * rows + 1, dtype=torch.long)
    wide, sums = (c_int64 * beams)(*widths), (c_double * rows)(*totals)
    asked = BeamsIn(addressof(wide), addressof(sums), beams, eos_id)
    answer = BeamsOut(numbers.data_ptr(), places.data_ptr())
    library.call("verto_extend_beams", byref(given), byref(asked), byref(answer))
    return _step(rows, beams, numbers.tolist(), places)


def _step(rows: int, beams: int, numbers: list[float], places: Tensor) -> BeamStep:
    """What lies where `BeamsOut` says."""
    where, by_beam = places.tolist(), 2 * rows + beams
    parents, num_ends = where[:rows], where[-1]
    ended = (where[2 * rows : 2 * rows + num_ends], where[3 * rows :], numbers[by_beam + beams :])
    return BeamStep(
        parents=parents,
        token_ids=where[rows : 2 * rows],
        log_probs=numbers[rows : 2 * rows],
        totals=numbers[:rows],
        ends=list(map(End, *ended)) if num_ends else (),
        best_live=numbers[2 * rows : by_beam],
        highest=numbers[by_beam : by_beam + beams],
        moves=None if parents == list(range(rows)) else places[:rows],
        tokens=places[rows : 2 * rows],
    )
