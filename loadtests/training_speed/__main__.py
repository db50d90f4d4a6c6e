"""`python -m loadtests.training_speed`: training steps of Verto, Joey NMT and the Hugging Face Trainer.

Knows how tasks, sides, rounds and the report are put together. Must not know how a side makes a step.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Annotated

import typer

from loadtests.machine import run_facts
from loadtests.progress import progress_bar
from loadtests.report import RESULTS, Report, publish
from loadtests.training_speed.pace import Took
from loadtests.training_speed.sides import MODULES, VERTO, SideFailed, sides
from loadtests.training_speed.table import Cell, speed_table
from loadtests.training_speed.task import SHAPES, make_task

WARM_UP_STEPS = 2
NOTES = (
    "Every side is its own program's training loop in a process of its own (forward, loss, backward, "
    "clipping, optimiser, schedule), over the same batches in the same order; sides take turns round by "
    "round. Verto cuts and fills its batches meanwhile; the peers get theirs ready made.",
    "The network is the same but for details of a peer: widths, depths, heads, one table of 8,000 tokens for "
    "both languages and the output, pre-norm, dropout 0.1 at all three places, label smoothing 0.1, Adam, "
    "clipping at 1. The Trainer trains that of M2M-100, Joey NMT its own. bfloat16 is `torch.autocast` on "
    "all sides; Joey NMT's settings know float16 on a GPU alone, so its trainer is handed the other type.",
    "A processor second is one that the process computed, whoever else wanted the processor.",
)


def main(
    peers: Annotated[Path | None, typer.Option(help="folder of the packages of peers.txt")] = None,
    shapes: Annotated[str, typer.Option(help=f"with commas, of {', '.join(SHAPES)}")] = "shipped",
    precisions: Annotated[str, typer.Option(help="with commas, of float32, bfloat16")] = "float32,bfloat16",
    names: Annotated[str, typer.Option("--sides", help="with commas")] = ",".join(MODULES),
    max_tokens: Annotated[int, typer.Option(help="of a batch, as in a recipe", min=16)] = 1600,
    steps: Annotated[int, typer.Option(help="of each side in a round", min=1)] = 4,
    rounds: Annotated[int, typer.Option(min=1)] = 5,
    threads: Annotated[int, typer.Option(help="of each side", min=1)] = 1,
    results: Annotated[Path, typer.Option(help="folder of the results")] = RESULTS,
) -> None:
    """The packages: pip install --no-deps --target FOLDER -r loadtests/training_speed/peers.txt"""
    asked = known("--sides", names, list(MODULES))
    if VERTO not in asked:
        raise typer.BadParameter(f"--sides must have {VERTO}, which the others are compared with: {names!r}")
    precisions_asked = known("--precisions", precisions, ["float32", "bfloat16"])
    pairs = [(shape, one) for shape in known("--shapes", shapes, list(SHAPES)) for one in precisions_asked]
    cells = []
    with progress_bar("rounds", len(pairs) * (rounds + 1)) as done:
        for shape, precision in pairs:
            with tempfile.TemporaryDirectory() as folder:
                num_batches = WARM_UP_STEPS + steps * rounds
                make_task(Path(folder), shape, precision, max_tokens, num_batches, threads)
                took = time_rounds(asked, Path(folder), peers, steps, rounds, done)
                cells.append(Cell(shape, precision, took))
    facts = run_facts(threads) | peer_versions(peers)
    facts |= {
        "tokens of a batch": str(max_tokens),
        "rounds": f"{rounds} of {steps} steps",
    }
    data = {"cells": [cell.to_dict() for cell in cells]}
    title = "Training steps beside Joey NMT and the Hugging Face Trainer"
    publish(Report("training-speed", title, facts, [speed_table(cells)], data, NOTES), results)


def known(option: str, names: str, allowed: Sequence[str]) -> list[str]:
    """Names with commas between them. Raises `BadParameter` for one that is not allowed."""
    asked = names.split(",")
    if wrong := [name for name in asked if name not in allowed]:
        raise typer.BadParameter(f"{option} takes {', '.join(allowed)}, got {wrong[0]!r}")
    return asked


def peer_versions(peers: Path | None) -> dict[str, str]:
    """Of the programs that are compared with, where they are."""
    folders = [str(peers)] if peers else []
    found = {one.name: one.version for one in distributions(path=[*sys.path, *folders])}
    return {name: found[name] for name in ("joeynmt", "transformers", "accelerate") if name in found}


def time_rounds(
    names: Sequence[str], task: Path, peers: Path | None, steps: int, rounds: int, done: Callable[[], None]
) -> dict[str, list[Took]]:
    """What each side took, in turn. Ends the program with a reason when a side fails."""
    took: dict[str, list[Took]] = {name: [] for name in names}
    try:
        with sides(names, task, peers) as started:
            for side in started:
                side.go(WARM_UP_STEPS)
            done()
            for _ in range(rounds):
                for side in started:
                    took[side.name].append(side.go(steps))
                done()
    except SideFailed as failure:
        raise SystemExit(f"{failure}\nthe packages of the peers are told by --peers, see --help") from failure
    return took


if __name__ == "__main__":
    typer.run(main)
