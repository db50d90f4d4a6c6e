"""Trains variants of a task one after the other, each in a folder of its own, and says how well they do.

Knows: runs, their held-out text, sacreBLEU. Must not know: what a variant is meant to show.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loadtests.why_transformers.variants import TOY, Task, Variant
from training.baselines.trained import TrainedRun, load_run
from training.config import TrainingConfig
from training.corpus import Pair, read_pairs
from training.errors import TrainingDiverged
from training.evaluation import score
from training.networks import num_parameters, translate
from training.run import train


def trained(
    variant: Variant, task: Task, settings: Sequence[str], seed: int, runs: Path, data: Path | None = None
) -> dict[str, Any]:
    """Train one variant, or go on where it was stopped; what became of it, as JSON holds it.

    `data` is the folder of the task's texts; the toy makes its own.
    """
    config = variant.recipe(task, *settings, f"seed={seed}")
    folder = runs / run_name(task, variant, seed)
    began = time.process_time()
    found = {
        "task": task.name, "variant": variant.name, "says": variant.says, "seed": seed,
        "settings": list(variant.settings),
    }  # fmt: skip
    try:
        if not train(config, data or folder, folder):
            return {**found, "outcome": "stopped"}
    except TrainingDiverged as error:
        return {**found, "outcome": f"diverged: {error}"}
    seconds = time.process_time() - began
    looked = looked_at(folder, data or folder / "generated")
    return {**found, "outcome": "finished", "processor_seconds": seconds, **looked}


def run_name(task: Task, variant: Variant, seed: int) -> str:
    """The folder of a run; the toy's go without its name."""
    return "-".join([*([] if task is TOY else [task.name]), variant.name, str(seed)])


def looked_at(folder: Path, data: Path) -> dict[str, Any]:
    """Scores of a finished run on its test texts, and its dev losses on the way."""
    run = load_run(folder)
    pairs = test_pairs(run.config, data)
    hypotheses = translations(run, pairs)
    right = sum(found == pair.target for found, pair in zip(hypotheses, pairs, strict=True))
    return {
        "parameters": num_parameters(run.network),
        **run.progress,
        "bleu": score(hypotheses, [pair.target for pair in pairs]).bleu,
        "right_share": right / len(pairs),
        "dev_losses": [[line["step"], line["dev_loss"]] for line in run.metrics if "dev_loss" in line],
    }


def test_pairs(config: TrainingConfig, data: Path) -> list[Pair]:
    """Every test text of a recipe, one after the other. Raises `CorpusError`."""
    return [pair for text in config.test for pair in read_pairs(text, data)]


def translations(run: TrainedRun, pairs: Sequence[Pair]) -> list[str]:
    """As the run's recipe says that its model decodes."""
    options = run.config.decoding_options()
    return translate(run.network, run.tokenizer, [pair.source for pair in pairs], options)
