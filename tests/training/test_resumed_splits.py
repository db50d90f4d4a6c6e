"""A whole run whose texts are split anew each epoch ends with the same weights wherever it was stopped."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.lively_runs import LIVELY, assert_same_run, batches_per_epoch
from tests.training.runs import ListeningMonitor, config, pairs
from training.config import TrainingConfig
from training.monitor import Monitor
from training.preparation import prepare
from training.trainer import Trainer


def recipe(kind: str, **data: Any) -> TrainingConfig:
    return config(**LIVELY, tokenizer={"kind": kind, "vocab_size": 400}, data=data, max_steps=12)


def begun(settings: TrainingConfig, folder: Path, monitor: Monitor | None = None) -> Trainer:
    """As `train` does it, from files."""
    folder.mkdir(exist_ok=True)
    for name, count in (("train.tsv", 40), ("dev.tsv", 6)):
        lines = [f"{pair.source}\t{pair.target}\n" for pair in pairs(count)]
        (folder / name).write_text("".join(lines), encoding="utf-8")
    monitor = monitor or ListeningMonitor()
    made = Trainer(settings, prepare(settings, folder, folder, monitor), folder, monitor)
    made.resume()
    return made


@pytest.mark.parametrize("sides", ["source", "both"])
@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_a_run_stopped_in_its_second_epoch_ends_with_the_same_weights(
    tmp_path: Path, kind: str, sides: str
) -> None:
    settings = recipe(kind, subword_sampling={"alpha": 0.3, "sides": sides})
    straight = begun(settings, tmp_path / "a")
    stop_at = batches_per_epoch(straight) + 1
    assert straight.run()
    assert stop_at < straight.progress.step

    def press_ctrl_c(step: int) -> None:
        if step == stop_at:
            os.kill(os.getpid(), signal.SIGINT)

    stopped = begun(settings, tmp_path / "b", ListeningMonitor(press_ctrl_c))
    assert not stopped.run()
    resumed = begun(settings, tmp_path / "b")
    assert (resumed.progress.step, resumed.progress.epoch) == (stop_at, 1)
    assert resumed.run()
    assert_same_run(straight, resumed)


def test_the_splits_are_others(tmp_path: Path) -> None:
    """Or the test above would say nothing."""
    drawn = begun(recipe("bpe", subword_sampling={"alpha": 0.3}), tmp_path / "a")
    plain = begun(recipe("bpe"), tmp_path / "b")
    assert drawn.run()
    assert plain.run()
    assert not torch.equal(
        drawn.model.state_dict()["output.weight"], plain.model.state_dict()["output.weight"]
    )
