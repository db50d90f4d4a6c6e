"""One training run from recipe to bundle: prepare, train, average, evaluate, write.

Knows: the order of the stages and what lies where in a run folder. Must not know: how any stage works.
"""

from __future__ import annotations

from pathlib import Path

import torch

from model.native.library import BuildSettings
from training.config import TrainingConfig
from training.errors import RecipeError
from training.files import only_user, write_atomically
from training.host_memory import keep_freed_memory
from training.kernels import open_kernels
from training.monitor import Monitor
from training.networks import num_parameters
from training.preparation import prepare
from training.recipe_text import as_yaml
from training.release import release
from training.trainer import Trainer


def train(
    config: TrainingConfig, data_folder: Path, run_folder: Path, kernels: BuildSettings | None = None
) -> bool:
    """Train in `run_folder`, resuming what is there. True when the run is complete and its bundle is written.

    The bundle lies in `run_folder`/bundle. `kernels` says where the native ones are that score it. Raises a
    `TrainingError`.
    """
    _use_device(config)
    keep_freed_memory()
    with only_user(run_folder), Monitor(run_folder, config.max_steps) as monitor:
        data = prepare(config, data_folder, run_folder, monitor)
        trainer = Trainer(config, data, run_folder, monitor)
        trainer.resume()
        write_atomically(run_folder / "config.yaml", as_yaml(config.to_dict()).encode())
        monitor.say(f"{num_parameters(trainer.model):,} parameters, {torch.get_num_threads()} threads")
        finished = trainer.run()
        if finished:
            release(trainer, monitor, open_kernels(kernels, monitor.say))
    return finished


def _use_device(config: TrainingConfig) -> None:
    """Raises `RecipeError` when torch does not see the device that the recipe asks for."""
    device = torch.device(config.device)
    found = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= found:
        raise RecipeError(f"device must be one that torch sees ({found} CUDA devices), got {config.device}")
    if config.num_threads is not None:
        torch.set_num_threads(config.num_threads)
