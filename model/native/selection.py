"""The native choosing among a step's logits: the likeliest tokens of rows, one step of plain beams.

Knows: the C interface of `src/select.cpp`. Must not know: how logits come about, strategies, histories.
Shapes: R rows, U beams, V vocabulary, N barred pairs.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import POINTER, byref, c_double, c_int, c_int64, c_void_p

import torch
from torch import Tensor

from model.beam_step import BeamStep, End


class StepLogits(ctypes.Structure):
    """`VertoScores` of `src/select.cpp`: addresses, and how many of what lies there."""

    _fields_ = [
        *((name, c_void_p) for name in ("logits", "log_sums", "block_max", "chosen", "barred")),
        *((name, c_int64) for name in ("vocabulary", "rows", "num_barred")),
    ]


SIGNATURES = {
    "verto_top": (c_int, [POINTER(StepLogits), c_int64, c_void_p, c_void_p]),
    "verto_extend_beams": (
        c_int64,
        [POINTER(StepLogits), c_void_p, c_int64, c_void_p, c_int64, c_void_p, c_void_p],
    ),
}


class Selector:
    """The library's functions that choose. A call is of one thread, and alone with the logits it is given."""

    def __init__(self, loaded: ctypes.CDLL) -> None:
        for name, (result, arguments) in SIGNATURES.items():
            function = getattr(loaded, name)
            function.restype, function.argtypes = result, arguments
        self._top, self._extend_beams = loaded.verto_top, loaded.verto_extend_beams

    def top(self, given: StepLogits, count: int) -> tuple[Tensor, Tensor]:
        """See `StepScores.top`; `count` is at most V."""
        values = torch.empty(given.rows, count)
        token_ids = torch.empty(given.rows, count, dtype=torch.long)
        if self._top(byref(given), count, values.data_ptr(), token_ids.data_ptr()):
            raise MemoryError("no memory to choose tokens with")
        return values, token_ids

    def extend_beams(
        self, given: StepLogits, widths: Sequence[int], totals: Sequence[float], eos_id: int
    ) -> BeamStep:
        """See `StepScores.extend_beams`."""
        rows, beams = given.rows, len(widths)
        numbers = torch.empty(3 * rows + 2 * beams, dtype=torch.float64)
        places = torch.empty(4, rows, dtype=torch.long)
        sums, wide = (c_double * rows)(*totals), (c_int64 * beams)(*widths)
        addresses = numbers.data_ptr(), places.data_ptr()
        num_ends = self._extend_beams(byref(given), wide, beams, sums, eos_id, *addresses)
        if num_ends < 0:
            raise MemoryError("no memory to choose tokens with")
        return _step(rows, beams, num_ends, numbers.tolist(), places)


def _step(rows: int, beams: int, num_ends: int, numbers: list[float], places: Tensor) -> BeamStep:
    """What `verto_extend_beams` has written."""
    parents, token_ids, end_beams, end_rows = places.tolist()
    by_beam = 2 * rows + beams
    end_totals = numbers[by_beam + beams :]
    return BeamStep(
        parents=parents,
        token_ids=token_ids,
        log_probs=numbers[rows : 2 * rows],
        totals=numbers[:rows],
        ends=list(map(End, end_beams[:num_ends], end_rows, end_totals)),
        best_live=numbers[2 * rows : by_beam],
        highest=numbers[by_beam : by_beam + beams],
        moves=None if parents == list(range(rows)) else places[0],
        tokens=places[1],
    )
