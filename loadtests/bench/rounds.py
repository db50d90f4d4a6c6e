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
CHEAP_SECONDS = 2.0  # within which a cell may have more rounds than it must


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
    """At least `rounds` of both. Where those would take longer than `seconds`, forced targets are made
    shorter; where they take hardly any time, there are up to three times as many."""
    turns = _Turns(cell, (verto, peer), sources)
    length = FORCED_LENGTH if cell.text == "forced" else None
    turns.both(length and WARM_UP_TOKENS)
    first = turns.both(length)
    shorter = _fitting(length, seconds, rounds * first.seconds)
    if shorter != length:
        length, first = shorter, turns.both(shorter)
    many = max(rounds, min(3 * rounds, int(min(seconds, CHEAP_SECONDS) / first.seconds)))
    taken = [first, *(turns.both(length) for _ in range(many - 1))]
    pairs = zip(first.verto_answers, first.peer_answers, strict=True)
    return Timed(
        cell,
        length,
        verto_seconds=tuple(one.verto_seconds for one in taken),
        peer_seconds=tuple(one.peer_seconds for one in taken),
        verto_tokens=_count(first.verto_answers, length),
        peer_tokens=_count(first.peer_answers, length),
        sentences=len(first.verto_answers),
        identical=sum(ours == theirs for ours, theirs in pairs),
    )


@dataclass(frozen=True, slots=True)
class _Round:
    """One turn of each."""

    verto_seconds: float
    peer_seconds: float
    verto_answers: Sequence[Tokens]
    peer_answers: Sequence[Tokens]

    @property
    def seconds(self) -> float:
        return self.verto_seconds + self.peer_seconds


class _Turns:
    """All of a cell's sentences, batch by batch, to one side and then to the other."""

    def __init__(self, cell: Cell, sides: tuple[Side, Side], sources: Sequence[Tokens]) -> None:
        self._strategy, self._sides = cell.strategy, sides
        self._batches = [sources[start : start + cell.batch] for start in range(0, len(sources), cell.batch)]

    def both(self, length: int | None) -> _Round:
        ours, theirs = (self._one(side, Ask(self._strategy, length)) for side in self._sides)
        return _Round(ours[0], theirs[0], ours[1], theirs[1])

    def _one(self, side: Side, ask: Ask) -> tuple[float, list[Tokens]]:
        began = time.perf_counter()
        answers = [one for batch in self._batches for one in side.translate(batch, ask)]
        return time.perf_counter() - began, answers


def _fitting(length: int | None, seconds: float, expected: float) -> int | None:
    """The longest target with which all rounds fit; sentences are never cut."""
    if length is None or expected <= seconds:
        return length
    return max(FEWEST_TOKENS, int(length * seconds / expected))


def _count(answers: Sequence[Tokens], length: int | None) -> int:
    """Tokens that were emitted; where lengths are forced, `</s>` may be the last of them."""
    return sum(length or len(one) for one in answers)
