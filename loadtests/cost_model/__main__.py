"""`python -m loadtests.cost_model`: steps of many sizes, and a formula fitted to their times.

Knows how measuring, fitting and the report are put together. Must not know searches.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from loadtests.bench.cells import PRECISIONS
from loadtests.bench.shapes import OPUS_BASE
from loadtests.cost_model.fit import FORMULA, Point, fitted
from loadtests.cost_model.report import (
    Measured,
    bends_table,
    coefficients_table,
    encodings_table,
    picture,
    to_json,
)
from loadtests.entry import run_program
from loadtests.kernels import served, serving_library
from loadtests.machine import run_facts
from loadtests.progress import progress_bar
from loadtests.report import RESULTS, Report, publish
from loadtests.steps import open_seconds, step_seconds
from model.config import ModelConfig
from model.network import Network
from model.transformer import Transformer

AROUND = 2  # steps before and after a position that its time is the median of, with its own
LONG_ROWS = 16  # with more, steps are so long that once is enough


@dataclass(frozen=True, slots=True)
class Grid:
    """What is measured, every combination; `targets` are positions of one and the same run of steps."""

    rows: Sequence[int] = (1, 2, 4, 8, 16, 32, 64, 128)
    targets: Sequence[int] = (3, 10, 25, 50, 100)
    sources: Sequence[int] = (5, 25, 100)
    vocabularies: Sequence[int] = (1_000, 8_000, 32_000)
    encodings: Sequence[tuple[int, int]] = ((1, 5), (1, 25), (1, 100), (4, 25), (16, 25), (64, 25), (16, 100))

    @property
    def size(self) -> int:
        """Runs of steps."""
        return len(self.rows) * len(self.sources) * len(self.vocabularies)


def measure(
    make: Callable[[ModelConfig], Network], config: ModelConfig, grid: Grid, done: Callable[..., None]
) -> Measured:
    """One precision: a network of each vocabulary, runs of steps of each size."""
    points: list[Point] = []
    for vocabulary in grid.vocabularies:
        network = make(_with_vocabulary(config, vocabulary))
        for rows in grid.rows:
            for source in grid.sources:
                points += _points(network, rows, source, grid)
                done()
    encodings = [(n * length, open_seconds(network, n, length)) for n, length in grid.encodings]
    return Measured(points, fitted(points), encodings)


def _points(network: Network, rows: int, source: int, grid: Grid) -> Iterator[Point]:
    repeats = 1 if rows > LONG_ROWS else 3
    seconds = step_seconds(network, rows, source, max(grid.targets) + AROUND, repeats=repeats)
    vocabulary = network.config.target_vocab_size
    for target in grid.targets:
        near = sorted(seconds[max(0, target - 1 - AROUND) : target + AROUND])
        yield Point(rows, target, source, vocabulary, near[len(near) // 2])


def _with_vocabulary(config: ModelConfig, size: int) -> ModelConfig:
    last = size - 1
    return replace(config, source_vocab_size=size, target_vocab_size=size, pad_id=last, decoder_start_id=last)


def main(
    threads: Annotated[int, typer.Option(help="Threads of the network.")] = 1,
    results: Annotated[Path, typer.Option(help="Where the report goes.")] = RESULTS,
) -> None:
    """Measure steps of OPUS-MT's shape over rows, lengths and vocabularies, and fit the formula."""
    torch.set_num_threads(threads)
    library, grid = serving_library(), Grid()
    gc.freeze()  # a search for garbage among all that was imported would count for a step

    def maker(precision: str) -> Callable[[ModelConfig], Network]:
        return lambda config: served(Transformer(config).eval(), precision, threads, library)

    with progress_bar("runs of steps", grid.size * len(PRECISIONS)) as done:
        found = {name: measure(maker(name), OPUS_BASE, grid, done) for name in PRECISIONS}
    facts = run_facts(threads) | {"kernels": library.level, "formula": FORMULA}
    notes = [
        "The shape is that of OPUS-MT's base models with random weights. R: rows; T: target positions that a "
        "row has behind it; S: source tokens; V: vocabulary. Encoding is at the largest vocabulary."
    ]
    tables = [coefficients_table(found), bends_table(found), encodings_table(found)]
    pictures = {"cost-model.png": picture(found, rows=16, target=25, source=25, vocabulary=32_000)}
    publish(
        Report("cost-model", "What a step costs", facts, tables, to_json(found), notes, pictures), results
    )


if __name__ == "__main__":
    run_program(main)
