"""Runs whose dropout draws numbers at every step, and what makes two of them equal.

Knows: a trainer's weights, moments and place. Must not know: what a test wants to find out.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.training.runs import trainer
from training.epoch_plan import plan_epoch
from training.trainer import Trainer

# Dropout draws random numbers at every step, so that a resumed run shows whether they go on.
LIVELY: dict[str, Any] = {"model": {"dropout": 0.3, "attention_dropout": 0.1}}


def weights(run: Trainer) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in run.model.state_dict().items()}


def assert_same_run(one: Trainer, other: Trainer) -> None:
    """Weights, moments and place in the data are equal, bit for bit."""
    for name, tensor in one.model.state_dict().items():
        assert torch.equal(tensor, other.model.state_dict()[name]), name
    moments, others = (
        one.learner.optimizer.state_dict()["state"],
        other.learner.optimizer.state_dict()["state"],
    )
    for index, values in moments.items():
        assert all(torch.equal(values[name], others[index][name]) for name in values)
    mine, theirs = one.progress, other.progress
    assert (mine.step, mine.epoch, mine.batch) == (theirs.step, theirs.epoch, theirs.batch)
    assert mine.target_tokens == theirs.target_tokens


def whole(folder: Path, **sections: Any) -> Trainer:
    run = trainer(folder, **{**LIVELY, **sections})
    assert run.run()
    return run


def batches_per_epoch(run: Trainer) -> int:
    batch = run.config.batch
    return len(plan_epoch(run.data.train, batch.max_tokens, batch.pool_batches, run.config.seed, 0))
