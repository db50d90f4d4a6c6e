"""A finished run as something to look at: its settings, its averaged network, its tokenizer.

Knows: what lies where in a run's folder. Must not know: how it was trained, what is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from model.tokenizer import Tokenizer
from training.config import TrainingConfig, load_recipe
from training.monitor import Metrics, read_metrics
from training.networks import build_network
from training.preparation import network_config
from training.snapshots import average_snapshots, snapshot_paths


@dataclass(frozen=True)
class TrainedRun:
    """`network` is in eval mode; `metrics` is what was recorded, a mapping a step."""

    config: TrainingConfig
    network: nn.Module
    tokenizer: Tokenizer
    metrics: list[Metrics]

    @property
    def progress(self) -> dict[str, int]:
        """Steps and target tokens up to the last record."""
        last = [line for line in self.metrics if "target_tokens" in line][-1:]
        return {name: int(last[0][name]) if last else 0 for name in ("step", "target_tokens")}


@torch.no_grad()
def load_run(folder: Path) -> TrainedRun:
    """The mean of the newest `checkpoint.average` snapshots in a run's folder, finished or not.

    Works for every network, a baseline or not, so that all are looked at in the same way. Raises a
    `TrainingError` when the folder holds no sound run.
    """
    config = load_recipe(folder / "config.yaml")
    tokenizer = Tokenizer.load(folder / "tokenizer")
    network = build_network(config, network_config(config, tokenizer)).eval()
    weights = average_snapshots(snapshot_paths(folder / "snapshots")[-config.checkpoint.average :])
    for name, parameter in network.named_parameters():
        parameter.copy_(weights[name])
    return TrainedRun(config, network, tokenizer, read_metrics(folder))
