"""Which positions a stored table holds: sinusoids of a known layout, or learned ones.

Knows: tables [N, D]. Must not know: files, families.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor

from model.config import SinusoidLayout
from model.embeddings import sinusoidal_positions

_CLOSE = 1e-4  # sinusoids of late positions, computed in float32
_OFFSETS = range(4)  # fairseq counts from padding_idx + 1


@dataclass(frozen=True, slots=True)
class Sinusoids:
    """Layout, and the number of the table's first position."""

    layout: SinusoidLayout
    offset: int


def tolerance(stored: torch.dtype) -> float:
    """How far a sinusoid that is kept in this type may be from one that is computed."""
    return _CLOSE + torch.finfo(stored).eps / 4  # half of what lies between two numbers next to 1


def recognise(table: Tensor, close: float) -> Sinusoids | None:
    """The sinusoids that a table [N, D] holds from its second row on, to within `close`; None for learned
    positions.

    The first row is left out: a Marian export may add to it what the start token holds.
    """
    count, width = table.shape
    if width % 2 or count < 2:
        return None
    for layout in get_args(SinusoidLayout):
        for offset in _OFFSETS:
            expected = sinusoidal_positions(offset + 1, count - 1, width, layout)
            if bool(torch.allclose(table[1:], expected, rtol=0.0, atol=close)):
                return Sinusoids(layout, offset)
    return None


def first_row(sinusoids: Sinusoids, width: int) -> Tensor:
    """The vector [D] of the first position."""
    return sinusoidal_positions(sinusoids.offset, 1, width, sinusoids.layout)[0]
