"""Times two contestants in turn, A B A B, within a share of the time that there is.

Knows: clocks, cells, sides. Must not know: what a side is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from loadtests.bench.cells import Cell
from loadtests.bench.shapes import FORCED_LENGTH
from loadtests.bench.sides import Ask, Side, Tokens

ROUNDS = 7
FEWEST_TOKENS = 7  # a target is not cut shorter than that to save time
WARM_UP_TOKENS = 2  # of a cell with forced lengths, so that what is allocated once is no part of a round


@dataclass(frozen=True, slots=True)
class Timed:
    """One cell: seconds of each round, tokens of one round, and sentences that both answered alike."""

    cell: Cell
    length: int | None  # of a forced target
    verto_seconds: tuple[float, ...]
    peer_seconds: tuple[float, ...]
    verto_tokens: int
    peer_tokens: int
    sentences: int
    identical: int

    @property
    def verto_rate(self) -> float:
        """Tokens per second, by the median round."""
        return self.verto_tokens / median(self.verto_seconds)

    @property
    def peer_rate(self) -> float:
        return self.peer_tokens / median(self.peer_seconds)

    @property
    def ratio(self) -> float:
        return self.verto_rate / self.peer_rate


@dataclass(slots=True)
class Budget:
    """Seconds for all cells together, dealt out by their weights; what one saves the others get."""

    seconds: float
    cells: Sequence[Cell]
    clock: Callable[[], float] = time.perf_counter
    _began: float = field(init=False)
    _open: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self.clock()
        self._open = sum(cell.weight for cell in self.cells)

    def share(self, cell: Cell) -> float:
        """What this cell may take, of what is left; it is no longer among the open ones then."""
        left = self.seconds - (self.clock() - self._began)
        part = cell.weight / self._open if self._open else 0.0
        self._open -= cell.weight
        return max(0.0, left * part)


def time_cell(
    cell: Cell, verto: Side, peer: Side, sources: Sequence[Tokens], seconds: float, rounds: int = ROUNDS
) -> Timed:
    """`rounds` of both. Where those would take longer than `seconds`, forced targets are made shorter."""
    batches = [sources[start : start + cell.batch] for start in range(0, len(sources), cell.batch)]

    def once(side: Side, length: int | None) -> tuple[float, list[Tokens]]:
        began = time.perf_counter()
        answers = [one for batch in batches for one in side.translate(batch, Ask(cell.strategy, length))]
        return time.perf_counter() - began, answers

    length = FORCED_LENGTH if cell.text == "forced" else None
    for side in (verto, peer):
        once(side, length and WARM_UP_TOKENS)
    first = [once(side, length) for side in (verto, peer)]
    shorter = _fitting(length, seconds, rounds * sum(one for one, _ in first))
    if shorter != length:
        length, first = shorter, [once(side, shorter) for side in (verto, peer)]
    times = [[one] for one, _ in first]
    for _ in range(rounds - 1):
        for side, taken in zip((verto, peer), times, strict=True):
            taken.append(once(side, length)[0])
    ours, theirs = (answers for _, answers in first)
    identical = sum(a == b for a, b in zip(ours, theirs, strict=True))
    return Timed(
        cell,
        length,
        verto_seconds=tuple(times[0]),
        peer_seconds=tuple(times[1]),
        verto_tokens=_count(ours, length),
        peer_tokens=_count(theirs, length),
        sentences=len(ours),
        identical=identical,
    )


def _fitting(length: int | None, seconds: float, expected: float) -> int | None:
    """The longest target with which all rounds fit; sentences are never cut."""
    if length is None or expected <= seconds:
        return length
    return max(FEWEST_TOKENS, int(length * seconds / expected))


def _count(answers: Sequence[Tokens], length: int | None) -> int:
    """Tokens that were emitted; where lengths are forced, `</s>` may be the last of them."""
    return sum(length or len(one) for one in answers)
