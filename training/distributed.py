"""The processes of one run, which torchrun starts: who each of them is, and what they tell each other.

Knows: ranks, torch.distributed, the variables that torchrun sets (they are read here and nowhere else). Must
not know: batches, losses, files. Every process calls the same methods in the same order, or all wait.
"""

from __future__ import annotations

import gc
import importlib
import inspect
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from training.errors import GroupError, RecipeError
from training.stopping import at_once

T = TypeVar("T")

# Buffers are constants (positions), so none is sent before each pass; torch 2.13 renamed the setting.
_NAMES = inspect.signature(DistributedDataParallel).parameters
_BUFFERS_STAY: dict[str, Any] = {
    "forward_sync_buffers" if "forward_sync_buffers" in _NAMES else "broadcast_buffers": False
}
# Others wait while the first process prepares the data or looks at the dev text.
PATIENCE = timedelta(hours=12)


@dataclass(frozen=True)
class World:
    """This process among `size` processes; alone, nothing is sent and every method answers at once."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0  # among those of this machine: the number of its GPU

    @classmethod
    def of_torchrun(cls) -> World:
        """What torchrun says of this process; a world of one where it did not start it."""
        if not dist.is_torchelastic_launched():
            return cls()
        rank, size, local = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
        return cls(rank, size, local)

    @property
    def is_main(self) -> bool:
        """The first process writes files and speaks; the others only compute."""
        return self.rank == 0

    def device(self, asked: str) -> torch.device:
        """The recipe's; of `cuda`, each process takes its own. Raises `RecipeError` for a shared GPU."""
        device = torch.device(asked)
        if self.size == 1 or device.type == "cpu":
            return device
        if asked != device.type:
            raise RecipeError(
                f"device must be cuda with {self.size} processes (each takes a GPU of its own), got {asked}"
            )
        return torch.device(device.type, self.local_rank)

    @contextmanager
    def joined(self, device: torch.device) -> Iterator[None]:
        """The processes reach each other meanwhile: tensors on a GPU through NCCL, others through gloo.

        Where they already do, nothing changes: torch forms the group of all processes once. Raises
        `GroupError` when another process ends before all have left the block.
        """
        if self.size == 1 or dist.is_initialized():
            yield
            return
        if device.type == "cuda":
            torch.cuda.set_device(device)
        # Where DistributedDataParallel reads it first, its default arguments hold the group for good.
        importlib.import_module("torch.distributed.nn.functional")
        with at_once():  # whoever waits here, for a process that may have ended, hears no signal
            dist.init_process_group(
                "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE
            )
        try:
            with _told_of_partings():
                yield
                # torchrun ends all when one ends badly: none leaves while the first still scores and writes.
                self.wait()
        finally:
            _part()

    def check_even(self, count: int) -> None:
        """Raises `RecipeError` where these batches of a step cannot be shared evenly."""
        if count % self.size:
            raise RecipeError(
                f"batch.batches_per_update must be a multiple of the {self.size} processes, got {count}; "
                "a step is shared evenly"
            )

    def total(self, count: int) -> int:
        """The sum of every process's number. It stays on the CPU, so no GPU is waited for."""
        if self.size == 1:
            return count
        return int(self.sum(torch.tensor(count)))

    def sum(self, value: Tensor) -> Tensor:
        """The sum of every process's tensor, elementwise; `value` itself is overwritten by it."""
        if self.size > 1:
            dist.all_reduce(value)
        return value

    def from_main(self, value: T) -> T:
        """What the first process passed; the others' values are ignored."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box)
        return box[0]

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            dist.barrier()

    def in_step(self, network: nn.Module, device: torch.device) -> nn.Module:
        """The network whose backward pass leaves the mean of all processes' gradients in the parameters."""
        if self.size == 1:
            return network
        ids = [device] if device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=ids, **_BUFFERS_STAY)


@contextmanager
def _told_of_partings() -> Iterator[None]:
    """gloo says it by a plain error, in which nothing but its source file's name tells where it is from."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and "/gloo/transport/" not in str(error):
            raise
        fault = "another process of the run has ended, and it or torchrun says why; the same command goes on"
        raise GroupError(fault) from error


def _part() -> None:
    """The group ends, and its threads with it, if no network in step is in use any more.

    A thread of gloo lets go of a tensor a little after whoever waited for it goes on, and needs the
    interpreter's lock for that: where the interpreter ends meanwhile, the process aborts ("terminate called
    without an active exception"). Only when the last holder lets go of the group are its threads waited for.
    A network in step is a holder, often in a cycle; the last must be torch, which waits without the lock.
    """
    gc.collect()
    dist.destroy_process_group()


@contextmanager
def gathering(network: nn.Module) -> Iterator[None]:
    """Gradients stay with this process meanwhile: more of the same step will follow."""
    if isinstance(network, DistributedDataParallel):
        with network.no_sync():
            yield
    else:
        yield
