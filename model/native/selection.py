"""The native choosing among a step's logits: the likeliest tokens of rows, one step of plain beams.

Knows: the C interface of `src/select.h`. Must not know: how logits come about, strategies, histories.
Shapes: R rows, U beams, V vocabulary, N barred pairs.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from ctypes import byref

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
    # Arrays of Python's own: at every step, tensors would cost more than what is written into them.
    numbers, places = array("d", bytes(8 * (3 * rows + 2 * beams))), array("q", bytes(8 * (4 * rows + 1)))
    wide, sums = array("q", widths), array("d", totals)
    asked = BeamsIn(_address(wide), _address(sums), beams, eos_id)
    answer = BeamsOut(_address(numbers), _address(places))
    library.call("verto_extend_beams", byref(given), byref(asked), byref(answer))
    return _step(rows, beams, numbers.tolist(), places)


def _address(values: array[int] | array[float]) -> int:
    return values.buffer_info()[0]


def _step(rows: int, beams: int, numbers: list[float], places: array[int]) -> BeamStep:
    """What lies where `BeamsOut` says."""
    where, by_beam = places.tolist(), 2 * rows + beams
    parents, num_ends = where[:rows], where[-1]
    stays = parents == list(range(rows))
    ended = (where[2 * rows : 2 * rows + num_ends], where[3 * rows :], numbers[by_beam + beams :])
    return BeamStep(
        parents=parents,
        token_ids=where[rows : 2 * rows],
        log_probs=numbers[rows : 2 * rows],
        totals=numbers[:rows],
        ends=list(map(End, *ended)) if num_ends else (),
        best_live=numbers[2 * rows : by_beam],
        highest=numbers[by_beam : by_beam + beams],
        moves=None if stays else torch.frombuffer(places, dtype=torch.long, count=rows),
        tokens=torch.frombuffer(places, dtype=torch.long, count=rows, offset=8 * rows),
    )
