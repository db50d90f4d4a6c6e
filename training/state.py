"""The whole state of a run, saved and restored: a resumed run ends with the same weights, bit for bit.

Knows: what a run must remember: weights, their moving average, optimiser moments, step, place in the data,
best looks. Random numbers are not among them: each batch's are seeded by its place. Must not know: how a step
is made. Only tensors and plain values are stored, and they are read back without running any stored code
(`weights_only`).
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from training.ema import MovingAverage
from training.errors import ResumeError
from training.files import write_atomically

STATE_FILE = "state.pt"


@dataclass
class Progress:
    """Where a run stands. `batch` counts the batches of `epoch` that are done, by all processes."""

    step: int = 0
    epoch: int = 0
    batch: int = 0
    target_tokens: int = 0
    seconds: float = 0.0  # spent in training steps, over all starts of the run
    best_value: float | None = None  # of all looks at the dev text, by the recipe's metric; more is better
    looks_since_best: int = 0
    best_steps: list[tuple[float, int]] = field(default_factory=list)  # (value, step) kept, best first


def save_state(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    key: str,
    average: MovingAverage | None = None,
) -> None:
    """Write everything that the next step depends on. `key` names the run's unchangeable settings."""
    state: dict[str, Any] = {
        "key": key,
        "progress": asdict(progress),
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "average": None if average is None else average.values,
    }
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(path, buffer.getvalue())


def load_state(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    key: str,
    average: MovingAverage | None = None,
) -> Progress:
    """Put a saved state back. Raises `ResumeError` when it is damaged or of a run with other settings.

    An average that was not saved begins again as the saved weights.
    """
    state = _read(path)
    if state["key"] != key:
        raise ResumeError(
            f"{path}: belongs to a run with another network, tokenizer or data; use another run folder"
        )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    if average is not None:
        average.restart() if state.get("average") is None else average.restore(state["average"])
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
