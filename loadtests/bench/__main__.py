"""`python -m loadtests.bench`, or `make bench`: Verto beside CTranslate2 and `generate`, in under 15 minutes.

Knows how shapes, sides, rounds and the report are put together. Must not know how either side decodes.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import torch
import typer

from loadtests.bench.cells import BASE, BATCHES, SHIPPED_SHAPE, Cell, all_cells
from loadtests.bench.contestants import contestants
from loadtests.bench.picture import picture
from loadtests.bench.rounds import ROUNDS, Budget, Timed, time_cell
from loadtests.bench.shapes import MOST_SENTENCES, OPUS_BASE, Shape, bundle_shape, random_shape
from loadtests.bench.shares import shares, told
from loadtests.bench.sides import MAX_ROWS
from loadtests.bench.table import cells_table, means_table, reasons_table, short_of_target, to_json
from loadtests.entry import run_program
from loadtests.kernels import served, serving_library
from loadtests.machine import run_facts
from loadtests.progress import progress_bar
from loadtests.report import RESULTS, Report, publish
from loadtests.subject import SHIPPED
from loadtests.workload import Workload, workload
from model.native.binding import Library

# Both sides live in one process. With two threads each, those of the side that waits held processors of the
# other: CTranslate2 was five times as slow as with one (2026-11-27), which says nothing of either.
NUM_THREADS = 1
NOTES = (
    "Both sides have the same weights, threads and precision, and take turns (A B A B); figures are medians "
    "of the rounds, ratios are of tokens per second. Verto is called with the defaults of `verto serve`, the "
    "peers with theirs.",
    '"forced" are random sources of 25 tokens whose targets may end only at the last of the given steps; '
    "where these are fewer than 25, the rounds would not have fitted into the time that the whole may take.",
    '"Same answers" are sentences for which both sides have the same tokens. In beam search the length '
    "penalties differ (ours is that of Wu et al. 2016, CTranslate2 divides by the length); int8 is rounded "
    "differently.",
)


def shapes_of(names: Sequence[str], bundle: Path, sentences: Workload, threads: int) -> dict[str, Shape]:
    shipped = bundle_shape(SHIPPED_SHAPE, bundle, sentences, threads)
    makers: Mapping[str, Callable[[], Shape]] = {
        BASE: lambda: random_shape(BASE, OPUS_BASE, shipped.defaults),
        SHIPPED_SHAPE: lambda: shipped,
    }
    return {name: makers[name]() for name in names}


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured, and with what; `library` None: without native kernels."""

    seconds: float
    rounds: int
    threads: int
    library: Library | None


def measure(shapes: Mapping[str, Shape], cells: Sequence[Cell], plan: Plan) -> list[Timed]:
    """Every cell in turn; the contestants of a shape and precision are in memory only meanwhile."""
    budget, found = Budget(plan.seconds, cells), list[Timed]()
    with progress_bar("cells", len(cells)) as done:
        for shape, precision, peer, group in grouped(cells):
            with contestants(shapes[shape], precision, peer, plan.threads, plan.library) as sides:
                for cell in group:
                    sources = shapes[shape].sources(cell.text, cell.sentences)
                    found.append(
                        time_cell(cell, sides.verto, sides.peer, sources, budget.share(cell), plan.rounds)
                    )
                    done()
    return found


def grouped(cells: Sequence[Cell]) -> Iterator[tuple[str, str, str, list[Cell]]]:
    """Cells that the same contestants are needed for."""
    keys = dict.fromkeys((cell.shape, cell.precision, cell.peer) for cell in cells)
    for key in keys:
        yield *key, [cell for cell in cells if (cell.shape, cell.precision, cell.peer) == key]


def main(
    minutes: Annotated[float, typer.Option(help="Time for all rounds; loading comes on top.")] = 12.0,
    rounds: Annotated[int, typer.Option(help="Rounds of each side in every cell.")] = ROUNDS,
    batch: Annotated[list[int] | None, typer.Option(help="Sentences at once; may be repeated.")] = None,
    shape: Annotated[
        list[str] | None, typer.Option(help=f"{BASE} or {SHIPPED_SHAPE}; may be repeated.")
    ] = None,
    sentences: Annotated[Path | None, typer.Option(help="Text or TSV, plain or gzip; else made up.")] = None,
    bundle: Annotated[Path, typer.Option(help="The bundle that is measured as the shipped one.")] = SHIPPED,
    results: Annotated[Path, typer.Option(help="Where the report goes.")] = RESULTS,
) -> None:
    """Time Verto and its peers in turn, and print the table."""
    torch.set_num_threads(NUM_THREADS)
    cells = all_cells(batch or BATCHES, shape or (BASE, SHIPPED_SHAPE))
    asked = workload(sentences, MOST_SENTENCES)
    shapes = shapes_of(list(dict.fromkeys(cell.shape for cell in cells)), bundle, asked, NUM_THREADS)
    gc.freeze()  # a search for garbage among all that was imported would count for either side
    plan = Plan(60 * minutes, rounds, NUM_THREADS, serving_library())
    timed = measure(shapes, cells, plan)
    publish(report(timed, reasons_of(timed, shapes, plan), asked, plan), results)


def reasons_of(timed: Sequence[Timed], shapes: Mapping[str, Shape], plan: Plan) -> dict[str, str]:
    """Of the cells under their target: where Verto's time goes there."""
    short, found = short_of_target(timed), dict[str, str]()
    with progress_bar("profiles", len(short)) as done:
        for one in short:
            cell, shape = one.cell, shapes[one.cell.shape]
            make = partial(served, precision=cell.precision, threads=plan.threads, library=plan.library)
            found[cell.name] = told(shares(shape, cell, make, shape.sources("forced", cell.batch)))
            done()
    return found


def report(timed: Sequence[Timed], reasons: Mapping[str, str], asked: Workload, plan: Plan) -> Report:
    facts = run_facts(plan.threads) | {name: version(name) for name in ("ctranslate2", "transformers")}
    facts |= {"workload": asked.name, "rounds": str(plan.rounds), "rows of a step": f"at most {MAX_ROWS}"}
    facts["kernels"] = plan.library.level if plan.library else "none"
    tables = [cells_table(timed), means_table(timed)]
    if short_of_target(timed):
        tables.append(reasons_table(timed, reasons))
    data = to_json(timed, reasons)
    pictures = {"bench.png": picture(timed)}
    return Report("bench", "Verto beside its peers", facts, tables, data, NOTES, pictures)


if __name__ == "__main__":
    run_program(main)
