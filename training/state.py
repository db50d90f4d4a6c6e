"""The whole state of a run, saved and restored: a resumed run ends with the same weights, bit for bit.

Knows: what a run must remember: weights, optimiser moments, step, place in the data, random numbers. Must not
know: how a step is made. Only tensors and plain values are stored, and they are read back without running any
stored code (`weights_only`).
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from training.errors import ResumeError
from training.files import write_atomically

STATE_FILE = "state.pt"


@dataclass
class Progress:
    """Where a run stands. `batch` counts the batches of `epoch` that are done."""

    step: int = 0
    epoch: int = 0
    batch: int = 0
    target_tokens: int = 0
    seconds: float = 0.0  # spent in training steps, over all starts of the run


def save_state(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress, key: str
) -> None:
    """Write everything that the next step depends on. `key` names the run's unchangeable settings."""
    state: dict[str, Any] = {
        "key": key,
        "progress": asdict(progress),
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "random": torch.get_rng_state(),
        "cuda_random": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(path, buffer.getvalue())


def load_state(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, key: str) -> Progress:
    """Put a saved state back. Raises `ResumeError` when it is damaged or of a run with other settings."""
    state = _read(path)
    if state["key"] != key:
        raise ResumeError(
            f"{path}: belongs to a run with another network, tokenizer or data; use another run folder"
        )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["random"])
    if state["cuda_random"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda_random"])
    return Progress(**state["progress"])


def _read(path: Path) -> dict[str, Any]:
    """The stored values. torch does not look at the archive's checksums, so they are checked here."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        state = None if damaged else torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damage can look like anything, and the advice is the same
        raise ResumeError(_damage(path, f"{type(error).__name__}: {error}")) from error
    if not isinstance(state, dict) or "key" not in state:
        raise ResumeError(_damage(path, f"{damaged or 'its content'} is not what was saved"))
    return state


def _damage(path: Path, fault: str) -> str:
    return f"{path}: cannot be read ({fault}); delete the file to start the run anew"


def snapshot_paths(folder: Path) -> list[Path]:
    """Weight snapshots, oldest first."""
    return sorted(folder.glob("step-*.safetensors"))


def save_snapshot(folder: Path, step: int, model: nn.Module, keep: int) -> None:
    """Keep the weights of this step, and only the newest `keep` snapshots."""
    weights = {name: parameter.detach().cpu().contiguous() for name, parameter in model.named_parameters()}
    write_atomically(folder / _snapshot_name(step), save(weights))
    for old in snapshot_paths(folder)[:-keep]:
        old.unlink()


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
