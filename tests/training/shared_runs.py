"""Runs that several processes share, as torchrun starts this file; test_distributed.py reads what they write.

torchrun --standalone --nproc-per-node 2 -m tests.training.shared_runs FOLDER
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from cli.train import run as verto_train
from tests.training.runs import ListeningMonitor, config, prepared, recipe
from training.distributed import World
from training.errors import RecipeError
from training.stream import Share
from training.trainer import Trainer
from training.update import Update

# Dropout draws random numbers: the runs are equal only if every batch has its own, wherever it is computed.
SHARED: dict[str, Any] = {
    "max_steps": 10,
    "model": {"dropout": 0.3, "attention_dropout": 0.1, "activation_dropout": 0.1},
    "batch": {"max_tokens": 100, "batches_per_update": 4},
    "validation": {"interval_steps": 4, "num_sentences": 3},
    "checkpoint": {"interval_steps": 5, "ema_decay": 0.9},
    "optimizer": {"warmup_steps": 4, "peak_learning_rate": 0.01, "r_drop": 1.0},
}
STOPPED_AFTER = 3
IMPATIENT = {
    **SHARED,
    "validation": {"interval_steps": 1, "num_sentences": 1, "patience": 1},
    "max_steps": 200,
}


def made(folder: Path, world: World, sections: dict[str, Any], monitor: ListeningMonitor) -> Trainer:
    settings = config(**sections)
    trainer = Trainer(settings, prepared(settings), folder, monitor, world)
    trainer.resume()
    return trainer


def curve_of(trainer: Trainer) -> list[tuple[float, float, int]]:
    """Loss, gradient norm and target tokens of every step, once the trainer has run."""
    curve: list[tuple[float, float, int]] = []
    update = trainer.learner.update

    def noted(step: int, share: Share, meanwhile: Callable[[], object] = lambda: None) -> Update:
        done = update(step, share, meanwhile)
        curve.append((done.loss, done.norm, done.tokens))
        return done

    trainer.learner.update = noted  # type: ignore[method-assign]
    return curve


def weights_digest(trainer: Trainer) -> str:
    digest = hashlib.sha256()
    for tensor in trainer.model.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def stopped_and_resumed(folder: Path, world: World) -> Trainer:
    """One process alone is asked to stop, twice, as torchrun does for one Ctrl-C."""

    class Asked(ListeningMonitor):
        def at(self, step: int, note: str) -> None:
            if step == STOPPED_AFTER:
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)

    stopped = made(folder, world, SHARED, Asked())
    assert not stopped.run()
    assert stopped.progress.step == STOPPED_AFTER
    if world.is_main:
        (folder / "state.pt").with_name("stopped.pt").write_bytes((folder / "state.pt").read_bytes())
    resumed = made(folder, world, SHARED, ListeningMonitor())
    assert resumed.run()
    return resumed


def refused(folder: Path, world: World) -> str:
    try:
        made(folder, world, {"batch": {"batches_per_update": 3}}, ListeningMonitor())
    except RecipeError as error:
        return str(error)
    return "nothing"


def shared_runs(folder: Path, world: World) -> dict[str, Any]:
    straight = made(folder / "straight", world, SHARED, ListeningMonitor())
    curve = curve_of(straight)
    assert straight.run()
    early = made(folder / "early", world, IMPATIENT, ListeningMonitor())
    return {
        "curve": curve,
        "target_tokens": straight.progress.target_tokens,
        "weights": weights_digest(straight),
        "resumed": weights_digest(stopped_and_resumed(folder / "resumed", world)),
        "early": (early.run(), early.progress.step),
        "refused": refused(folder / "refused", world),
    }


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    world = World.of_torchrun()
    with world.joined(torch.device("cpu")):
        report = shared_runs(folder, world)
        (folder / f"report-{world.rank}.json").write_text(json.dumps(report), encoding="utf-8")
        verto_train(folder / "recipe.yaml", folder, folder / "whole")
    (folder / f"threads-{world.rank}.json").write_text(json.dumps(group_threads()), encoding="utf-8")


def group_threads() -> list[str]:
    """The names of gloo's threads that stay; the system lists one that ended for another moment."""
    for _ in range(20):
        found = []
        for path in Path("/proc/self/task").glob("*/comm"):
            with suppress(OSError):  # it ended meanwhile
                found += [name for name in path.read_text(encoding="utf-8").split() if "gloo" in name]
        if not found:
            break
        time.sleep(0.1)
    return found


def whole_recipe() -> dict[str, Any]:
    """From made-up text to a bundle."""
    generate = {"kind": "digit-reversal", "train_pairs": 200, "held_out_pairs": 5}
    return recipe(generate=generate, max_steps=2, batch={"batches_per_update": 2}, num_threads=1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
