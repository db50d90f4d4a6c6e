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
from training.errors import OtherRunError, ResumeError
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
    judged_by: dict[str, str | int] | None = None  # the settings that give a look its value; None: not noted
    dev_sha256: dict[str, str] | None = None  # of each dev file, by its name in the recipe; None: not noted


def save_state(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    key: str,
    average: MovingAverage | None = None,
    start_from: str | None = None,
) -> None:
    """Write everything that the next step depends on. `key` names the run's unchangeable settings,
    `start_from` the bundle that it began with."""
    state: dict[str, Any] = {
        "key": key,
        "start_from": start_from,
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
    start_from: str | None = None,
) -> Progress:
    """Put a saved state back. Raises `ResumeError` when it is damaged or of a run with other settings.

    An average that was not saved begins again as the saved weights. The optimizer keeps its own settings.
    """
    state = _read(path)
    if state["key"] != key:
        raise OtherRunError(
            f"{path}: belongs to a run with another network, tokenizer or data; use another run folder"
        )
    _check_beginning(path, state.get("start_from", start_from), start_from)  # an older state does not say
    model.load_state_dict(state["model"])
    _put_back(optimizer, state["optimizer"])
    if average is not None:
        average.restart() if state.get("average") is None else average.restore(state["average"])
    return Progress(**state["progress"])


def _check_beginning(path: Path, before: str | None, now: str | None) -> None:
    """Only the value counts: the bundle's weights are in the state, and the bundle may be gone."""
    if before != now:
        was, is_now = before or "left out", now or "left out"
        raise ResumeError(
            f"{path}: start_from was {was}, is {is_now}; put back what it was, or use another run folder"
        )


def _put_back(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """The moments, and not the settings that were saved beside them: those are the recipe's, as it is now."""
    own = [{name: value for name, value in g.items() if name != "params"} for g in optimizer.param_groups]
    optimizer.load_state_dict(saved)
    for group, settings in zip(optimizer.param_groups, own, strict=True):
        group.update(settings)


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
