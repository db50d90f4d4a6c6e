"""Sentences grouped by length. Knows: lengths and bounds. Must not know: scores."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Unit = Literal["words", "characters"]


@dataclass(frozen=True, slots=True)
class LengthBucket:
    """Sentences `indices`, whose length is in `low`..`high`; None: as long as they like."""

    low: int
    high: int | None
    indices: tuple[int, ...]

    @property
    def label(self) -> str:
        if self.high is None:
            return f"over {self.low - 1}"
        return f"up to {self.high}" if self.low == 0 else f"{self.low}-{self.high}"


def length_of(text: str, unit: Unit) -> int:
    """Words stand between white space; a language that writes none is better measured in characters."""
    return len(text.split()) if unit == "words" else len(text)


def check_bounds(bounds: Sequence[int]) -> tuple[int, ...]:
    """The same. Raises `ValueError` unless they are above 0 and ascend."""
    if not bounds or min(bounds) < 1 or list(bounds) != sorted(set(bounds)):
        raise ValueError(f"bounds must be above 0 and ascend, got {','.join(map(str, bounds))}")
    return tuple(bounds)


def by_length(lengths: Sequence[int], bounds: Sequence[int]) -> list[LengthBucket]:
    """Shortest first; with bounds (5, 10) those of 0..5, of 6..10, and longer ones. None is empty."""
    edges: list[int | None] = [*bounds, None]
    members: list[list[int]] = [[] for _ in edges]
    for index, length in enumerate(lengths):
        members[bisect_left(bounds, length)].append(index)
    lows = [0, *(bound + 1 for bound in bounds)]
    found = zip(lows, edges, members, strict=True)
    return [LengthBucket(low, high, tuple(indices)) for low, high, indices in found if indices]
