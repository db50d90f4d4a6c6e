"""`python -m loadtests.why_transformers PART`: one part of the comparison after the other, then the report.

Knows: how parts are put together, and where their numbers wait for the report. Must not know: how any is
measured. Each can be cut off: a training goes on where it stopped when the same command is given again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from loadtests.machine import run_facts
from loadtests.progress import progress_bar
from loadtests.report import RESULTS, publish
from loadtests.why_transformers import gradients, speed
from loadtests.why_transformers.lengths import CAPTION_BOUNDS, TOY_BOUNDS, by_length
from loadtests.why_transformers.report import report as report_of
from loadtests.why_transformers.shapes import FIRST_TOKEN, RECURRENT, TRANSFORMER, shapes
from loadtests.why_transformers.training_runs import run_name, test_pairs, trained, translations
from loadtests.why_transformers.variants import BY_LENGTH, LONG, TASKS, TOY, ablations
from training.baselines.trained import TrainedRun, load_run
from training.errors import TrainingError
from training.files import write_atomically
from training.toy import DIGITS

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Why Transformers? Measured.")
Runs = Annotated[Path, typer.Option(help="Where runs lie, and the numbers of each part.")]
RUNS = Path("runs") / "why-transformers"
VOCABULARY, WIDTH, HIDDEN = 3000, 128, 160  # of networks that are not trained; about 1.2 million parameters
LENGTHS = (8, 16, 32, 64, 128, 256)
DISTANCES = (1, 2, 4, 8, 16, 23, 31, 63, 127)


@app.command("speed")
def measure_speed(
    runs: Runs = RUNS,
    batch_tokens: Annotated[int, typer.Option(min=1, help="Target tokens of a batch.")] = 1024,
    rounds: Annotated[int, typer.Option(min=1, help="Steps of each network at each length.")] = 5,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Training tokens per second by length, both networks in turn."""
    networks = shapes(WIDTH, HIDDEN, VOCABULARY, max(LENGTHS))
    with progress_bar("speed", len(LENGTHS)) as done:
        lines = speed.measure(networks, LENGTHS, batch_tokens, rounds, VOCABULARY, torch.device(device), done)
    _keep(runs, "speed", {"lines": lines, "batch_tokens": batch_tokens, "rounds": rounds, "device": device})


@app.command("gradients")
def measure_gradients(
    runs: Runs = RUNS,
    trained: Annotated[
        bool, typer.Option(help="Not with first weights, but of what `lengths` trained.")
    ] = False,
) -> None:
    """What of a gradient reaches the first source token, by distance."""
    if trained:
        found = [_run_in(runs / f"{variant.name}-1") for variant in BY_LENGTH]
        networks = {variant.says: run.network for variant, run in zip(BY_LENGTH, found, strict=True)}
        token_ids = found[0].tokenizer.encode_source(" ".join(DIGITS))[:-1]
        distances = [distance for distance in DISTANCES if distance < TOY_BOUNDS[-1]]
    else:
        networks = shapes(WIDTH, HIDDEN, VOCABULARY, 2 * DISTANCES[-1])
        token_ids, distances = list(range(FIRST_TOKEN, VOCABULARY)), list(DISTANCES)
    with progress_bar("gradients", len(distances)) as done:
        lines = gradients.measure(networks, distances, token_ids, done)
    _keep(runs, "gradients-trained" if trained else "gradients", {"lines": lines})


@app.command("ablations")
def train_ablations(
    runs: Runs = RUNS,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each variant.")] = 1,
    only: Annotated[list[str] | None, typer.Option(help="Only these variants.")] = None,
    task: Annotated[str, typer.Option(help="toy, or captions (of docs/multi30k.md).")] = TOY.name,
    data: Annotated[Path | None, typer.Option(help="The folder with the captions.")] = None,
) -> None:
    """Train each variant of a task for the same few steps."""
    if task not in TASKS or (task != TOY.name and data is None):
        raise typer.BadParameter(f"--task is one of {', '.join(TASKS)}, and all but toy need --data")
    chosen = TASKS[task]
    for variant in [one for one in ablations(chosen) if not only or one.name in only]:
        for seed in range(1, seeds + 1):
            found = trained(variant, chosen, chosen.settings, seed, runs, data)
            _keep(runs, f"ablation-{run_name(chosen, variant, seed)}", found)
            typer.echo(f"{variant.name} {seed}: {found['outcome']}, BLEU {found.get('bleu', 0):.1f}")


@app.command("lengths")
def train_by_length(
    runs: Runs = RUNS, only: Annotated[list[str] | None, typer.Option(help="Only these variants.")] = None
) -> None:
    """Train both networks on long sequences of the toy; scores by length."""
    for variant in [one for one in BY_LENGTH if not only or one.name in only]:
        found = trained(variant, TOY, LONG, 1, runs)
        if found["outcome"] == "finished":
            folder = runs / f"{variant.name}-1"
            found["lengths"] = _by_length(folder, folder / "generated", TOY_BOUNDS)
        _keep(runs, f"toy-{variant.name}", found)


@app.command("captions")
def compare_captions(
    data: Annotated[Path, typer.Option(help="The folder with the texts of the runs' recipes.")],
    transformer: Annotated[Path, typer.Option(help="Run folder of the Transformer.")],
    gru: Annotated[Path, typer.Option(help="Run folder of the GRU.")],
    runs: Runs = RUNS,
) -> None:
    """Scores by length of two runs on real text (see docs/multi30k.md)."""
    for name, folder in ((TRANSFORMER, transformer), (RECURRENT, gru)):
        found = {"network": name, "lengths": _by_length(folder, data, CAPTION_BOUNDS)}
        _keep(runs, f"captions-{folder.name}", found | _run_in(folder).progress)


@app.command("report")
def write_report(
    runs: Runs = RUNS, output: Annotated[Path, typer.Option(help="Folder for the report.")] = RESULTS
) -> None:
    """Table, JSON and pictures of every part that has been measured."""
    parts = {path.stem: json.loads(path.read_text()) for path in sorted((runs / "parts").glob("*.json"))}
    try:
        made = report_of(parts, run_facts(torch.get_num_threads()))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    publish(made, output)


def _by_length(folder: Path, data: Path, bounds: tuple[int, ...]) -> list[dict[str, Any]]:
    run = _run_in(folder)
    pairs = test_pairs(run.config, data)
    return by_length(pairs, translations(run, pairs), bounds)


def _run_in(folder: Path) -> TrainedRun:
    """Raises `BadParameter` where no run is."""
    try:
        return load_run(folder)
    except (TrainingError, OSError) as error:
        raise typer.BadParameter(f"{folder} holds no run: {error}") from error


def _keep(runs: Path, name: str, values: dict[str, Any]) -> None:
    """The numbers of one part, for the report."""
    write_atomically(runs / "parts" / f"{name}.json", json.dumps(values, indent=1).encode())


if __name__ == "__main__":
    app()
