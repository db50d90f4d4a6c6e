"""Weights of single steps, kept to be averaged into the bundle.

Knows: safetensors files named by their step. Must not know: optimisers, which steps are worth keeping.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from training.errors import ResumeError
from training.files import write_atomically


def snapshot_paths(folder: Path) -> list[Path]:
    """Weight snapshots, oldest first."""
    return sorted(folder.glob("step-*.safetensors"))


def snapshots_of(folder: Path, steps: Iterable[int]) -> list[Path]:
    """Where the weights of these steps lie, or would lie, in the same order."""
    return [folder / _snapshot_name(step) for step in steps]


def save_snapshot(folder: Path, step: int, model: nn.Module) -> None:
    """Keep the weights of this step."""
    weights = {name: parameter.detach().cpu().contiguous() for name, parameter in model.named_parameters()}
    write_atomically(folder / _snapshot_name(step), save(weights))


def keep_snapshots(folder: Path, wanted: Sequence[Path]) -> None:
    """Remove all others."""
    for path in snapshot_paths(folder):
        if path not in wanted:
            path.unlink()


def drop_snapshots_after(folder: Path, step: int) -> None:
    """Remove what a run left that was ahead of `step`, or another run that was deleted: it is made again."""
    for path in snapshot_paths(folder):
        if path.name > _snapshot_name(step):
            path.unlink()


def _snapshot_name(step: int) -> str:
    return f"step-{step:08d}.safetensors"  # so many digits that the order of names is the order of steps


def average_snapshots(paths: Sequence[Path]) -> dict[str, Tensor]:
    """The mean of several snapshots, in float64 on the way (section 6.1 of Vaswani et al. 2017 averages 5).

    Raises `ResumeError` when there is none, or when one is damaged.
    """
    if not paths:
        raise ResumeError("there is no weight snapshot to average")
    total: dict[str, Tensor] = {}
    for path in paths:
        for name, tensor in _read_snapshot(path).items():
            total[name] = total[name] + tensor.double() if name in total else tensor.double()
    return {name: (tensor / len(paths)).float() for name, tensor in total.items()}


def _read_snapshot(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ResumeError(
            f"{path}: cannot be read ({error}); delete the file to average without it"
        ) from error
