"""Which shape a step is computed in: few enough that each can be captured once.

Knows: numbers of rows, segments, positions. Must not know: tensors, devices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

SHORTEST_ROOM, STEP = 32, 4  # positions, and how much longer each next room is


class StepShape(NamedTuple):
    """A step of up to `rows` rows of up to `segments` segments, each of up to `width` rows.

    `target_room` and `source_room` are the positions that attention looks at, filled or not.
    """

    rows: int
    segments: int
    width: int
    target_room: int
    source_room: int


def at_least(number: int) -> int:
    """The next power of two."""
    return 1 << max(0, number - 1).bit_length()


def room(needed: int, most: int) -> int:
    """Positions that hold `needed`: 32, 128, 512 ..., or all there are. Most sentences fit the first."""
    length = SHORTEST_ROOM
    while length < needed:
        length *= STEP
    return min(most, length)


def step_shape(widths: Sequence[int], target_room: int, source_room: int) -> StepShape:
    """The shape for segments of these `widths`: segments by powers of two, and no idle rows between equal
    ones."""
    width, segments = max(widths), at_least(len(widths))
    rows = segments * width if min(widths) == width else at_least(sum(widths))
    return StepShape(rows, segments, width, target_room, source_room)
