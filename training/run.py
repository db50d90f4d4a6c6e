"""One training run from recipe to bundle: prepare, train, average, evaluate, write.

Knows: the order of the stages and what lies where in a run folder. Must not know: how any stage works.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from model.checkpoint import check_replaceable
from model.folder_swap import put_right
from model.native.library import BuildSettings
from training.config import TrainingConfig
from training.distributed import World
from training.errors import RecipeError
from training.files import naming, only_user, write_atomically
from training.host_memory import keep_freed_memory
from training.kernels import open_kernels
from training.monitor import Monitor, Silence
from training.networks import num_parameters
from training.preparation import PreparedData, prepare
from training.recipe_text import as_yaml
from training.release import BUNDLE, release
from training.trainer import RECIPE_FILE, Trainer


def train(
    config: TrainingConfig,
    data_folder: Path,
    run_folder: Path,
    kernels: BuildSettings | None = None,
    world: World | None = None,
    leg_seconds: float | None = None,
) -> bool:
    """Train in `run_folder`, resuming what is there. True when the run is complete and its bundle is written.

    The bundle lies in `run_folder`/bundle. `kernels` says where the native ones are that score it. Every
    process of a run that torchrun started calls this with its own `world`; only the first locks the folder,
    writes and speaks. `leg_seconds` after the call no further step is begun, and the run can be resumed; of a
    run that ends before, the scoring comes on top. Raises a `TrainingError`, or `BundleError` when something
    else than a bundle is in the place of the run's.
    """
    leg_ends = math.inf if leg_seconds is None else time.monotonic() + leg_seconds
    world = world or World()
    if world.is_main:  # now, and once: torchrun ends the others, which wait for this one
        world.check_even(config.batch.batches_per_update)
    device = _device(config, world)
    keep_freed_memory()
    with world.joined(device), _folder(run_folder, config, world) as monitor:
        data = _prepared(config, data_folder, run_folder, monitor, world)
        trainer = Trainer(config, data, run_folder, monitor, world)
        trainer.resume()
        if world.is_main:
            write_atomically(run_folder / RECIPE_FILE, as_yaml(config.to_dict()).encode())
        monitor.say(_introduction(trainer))
        finished = trainer.run(leg_ends)
        if finished and world.is_main:
            release(trainer, monitor, open_kernels(kernels, monitor.say))
        del trainer  # its network holds the group of the processes, which ends here
    return finished


@contextmanager
def _folder(run_folder: Path, config: TrainingConfig, world: World) -> Iterator[Monitor]:
    """The run's folder held for the first process, and what it says of the run."""
    if not world.is_main:
        yield Silence()
        return
    with naming(run_folder), only_user(run_folder), Monitor(run_folder, config.max_steps) as monitor:
        put_right(run_folder / BUNDLE)
        if config.baseline is None:
            check_replaceable(run_folder / BUNDLE)  # now, not hours later, when there is something to write
        yield monitor


def _prepared(
    config: TrainingConfig, data_folder: Path, run_folder: Path, monitor: Monitor, world: World
) -> PreparedData:
    """The first process prepares, the others then read what it left."""
    if world.is_main:
        data = prepare(config, data_folder, run_folder, monitor)
    world.wait()
    if not world.is_main:
        data = prepare(config, data_folder, run_folder, monitor)
    world.wait()
    return data


def _introduction(trainer: Trainer) -> str:
    processes = f", {trainer.world.size} processes" if trainer.world.size > 1 else ""
    return f"{num_parameters(trainer.model):,} parameters, {torch.get_num_threads()} threads{processes}"


def _device(config: TrainingConfig, world: World) -> torch.device:
    """Raises `RecipeError` when torch does not see the device that the recipe asks for."""
    device = world.device(config.device)
    found = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= found:
        raise RecipeError(f"device must be one that torch sees ({found} CUDA devices), got {device}")
    if config.num_threads is not None:
        torch.set_num_threads(config.num_threads)
    return device
