"""Which combinations are measured: shape, strategy, batch, precision, forced lengths or sentences, peer.

Knows: names and numbers. Must not know: networks, clocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

BASE, SHIPPED_SHAPE = "opus-base", "shipped"
BATCHES = (1, 8, 32, 64)
STRATEGIES = ("greedy", "beam")
PRECISIONS = ("float32", "int8")
CTRANSLATE2, GENERATE = "ctranslate2", "generate"
TARGETS = {CTRANSLATE2: 1.3, GENERATE: 3.0}  # how many times as fast every cell is to be
MEAN_TARGET = 1.6  # and the geometric mean over CTranslate2
BEAM_SIZE = 4


@dataclass(frozen=True, slots=True)
class Cell:
    """One line of the table. `text`: "forced" sources and targets of one length, or "real" sentences."""

    shape: str
    text: str
    strategy: str
    batch: int
    precision: str
    peer: str = CTRANSLATE2

    @property
    def name(self) -> str:
        strategy = self.strategy if self.strategy == "greedy" else f"beam {BEAM_SIZE}"
        return f"{self.shape}, {self.text}, {self.precision}, {strategy}, batch {self.batch}"

    @property
    def rows(self) -> int:
        return self.batch * (BEAM_SIZE if self.strategy == "beam" else 1)

    @property
    def sentences(self) -> int:
        """Sentences of different lengths need several small batches to say something."""
        few = {1: 16, 8: 32}
        return few.get(self.batch, self.batch) if self.text == "real" else self.batch

    @property
    def weight(self) -> float:
        """About how long a round takes, in units of its own: what a cell gets of the time that there is."""
        first, each_row = {"float32": (14.0, 0.95), "int8": (4.0, 0.6)}[self.precision]
        size = (1.0 if self.shape == BASE else 0.13) * (1.3 if self.peer == GENERATE else 1.0)
        size *= 0.6 if self.text == "real" else 1.0  # sentences are shorter than what is forced
        return size * (self.sentences / self.batch) * (first + self.rows * each_row)


def all_cells(batches: Sequence[int] = BATCHES, shapes: Sequence[str] = (BASE, SHIPPED_SHAPE)) -> list[Cell]:
    """The whole table, in the order in which it is printed."""
    return [*_against_ctranslate2(batches, shapes), *_against_generate(batches, shapes)]


def _against_ctranslate2(batches: Sequence[int], shapes: Sequence[str]) -> Iterator[Cell]:
    for shape in shapes:
        for text in ("forced",) if shape == BASE else ("forced", "real"):
            for precision in PRECISIONS:
                for strategy in STRATEGIES:
                    yield from (Cell(shape, text, strategy, batch, precision) for batch in batches)


def _against_generate(batches: Sequence[int], shapes: Sequence[str]) -> Iterator[Cell]:
    """A few: what `generate` does is slower by so much that every cell would cost minutes."""
    if BASE not in shapes:
        return
    for strategy, most in (("greedy", 32), ("beam", 8)):
        for batch in batches:
            if batch <= most:
                yield Cell(BASE, "forced", strategy, batch, "float32", GENERATE)
