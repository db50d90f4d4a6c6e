"""Snapshots: kept, forgotten and averaged."""

from pathlib import Path

import pytest
import torch
from torch import nn

from training.errors import ResumeError
from training.snapshots import (
    average_snapshots,
    drop_snapshots_after,
    keep_snapshots,
    save_snapshot,
    snapshot_paths,
    snapshots_of,
)


def network(seed: int = 0) -> nn.Module:
    """Two layers that share one matrix, as embeddings and output do."""
    torch.manual_seed(seed)
    first, second = nn.Linear(6, 6), nn.Linear(6, 6)
    second.weight = first.weight
    return nn.Sequential(first, second)


def test_all_others_than_the_wanted_snapshots_are_removed(tmp_path: Path) -> None:
    for step in (5, 1000, 20, 999):
        save_snapshot(tmp_path, step, network())
    keep_snapshots(tmp_path, snapshots_of(tmp_path, (1000, 20, 999, 7)))
    assert [path.stem for path in snapshot_paths(tmp_path)] == [
        "step-00000020",
        "step-00000999",
        "step-00001000",
    ]


def test_snapshots_ahead_of_a_step_are_dropped(tmp_path: Path) -> None:
    for step in (1, 2, 10):
        save_snapshot(tmp_path, step, network())
    drop_snapshots_after(tmp_path, 2)
    assert [path.stem for path in snapshot_paths(tmp_path)] == ["step-00000001", "step-00000002"]
    drop_snapshots_after(tmp_path / "missing", 0)


def test_the_average_is_the_mean_of_the_weights(tmp_path: Path) -> None:
    models = [network(seed) for seed in range(3)]
    for step, model in enumerate(models):
        save_snapshot(tmp_path, step, model)
    average = average_snapshots(snapshot_paths(tmp_path))
    assert set(average) == {name for name, _ in models[0].named_parameters()}
    for name, mean in average.items():
        wanted = torch.stack([dict(model.named_parameters())[name].double() for model in models]).mean(0)
        assert torch.equal(mean, wanted.float())


def test_the_average_of_one_is_itself(tmp_path: Path) -> None:
    model = network()
    save_snapshot(tmp_path, 1, model)
    for name, mean in average_snapshots(snapshot_paths(tmp_path)).items():
        assert torch.equal(mean, dict(model.named_parameters())[name])


def test_nothing_to_average_and_a_damaged_snapshot_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ResumeError, match="no weight snapshot"):
        average_snapshots([])
    save_snapshot(tmp_path, 1, network())
    (path,) = snapshot_paths(tmp_path)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ResumeError, match=r"step-00000001\.safetensors: cannot be read"):
        average_snapshots([path])
