"""Saved states: everything comes back, damage and other runs are refused, snapshots are averaged."""

import io
import random
from pathlib import Path

import pytest
import torch
from torch import nn

from training.errors import ResumeError
from training.state import (
    Progress,
    average_snapshots,
    drop_snapshots_after,
    load_state,
    save_snapshot,
    save_state,
    snapshot_paths,
)

KEY = "the run's key"


def network(seed: int = 0) -> nn.Module:
    """Two layers that share one matrix, as embeddings and output do."""
    torch.manual_seed(seed)
    first, second = nn.Linear(6, 6), nn.Linear(6, 6)
    second.weight = first.weight
    return nn.Sequential(first, nn.Dropout(0.5), second)


def adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=0.01, fused=True)


def steps(model: nn.Module, optimizer: torch.optim.Optimizer, count: int) -> None:
    for _ in range(count):
        optimizer.zero_grad()
        torch.autograd.backward(model(torch.randn(4, 6)).square().mean())
        optimizer.step()


def saved(path: Path) -> tuple[nn.Module, torch.optim.Optimizer]:
    model = network()
    optimizer = adam(model)
    steps(model, optimizer, 3)
    save_state(path, model, optimizer, Progress(3, 1, 2, 40, 0.5), KEY)
    return model, optimizer


def test_a_restored_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    model, optimizer = saved(path)
    steps(model, optimizer, 4)

    other = network(seed=99)
    other_optimizer = adam(other)
    assert load_state(path, other, other_optimizer, KEY) == Progress(3, 1, 2, 40, 0.5)
    steps(other, other_optimizer, 4)
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    assert other[0].weight is other[2].weight


def test_a_state_of_another_run_is_refused_and_nothing_is_touched(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    saved(path)
    model = network(seed=5)
    before = [parameter.clone() for parameter in model.parameters()]
    with pytest.raises(ResumeError, match="belongs to a run with another network, tokenizer or data"):
        load_state(path, model, adam(model), "another key")
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def refused(path: Path) -> str:
    model = network()
    with pytest.raises(ResumeError) as caught:
        load_state(path, model, adam(model), KEY)
    return str(caught.value)


@pytest.mark.parametrize("cut", [0, 1, 100, 2000, -1, -30])
def test_a_truncated_state_is_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "state.pt"
    saved(path)
    path.write_bytes(path.read_bytes()[:cut])
    assert f"{path}: cannot be read" in refused(path)
    assert "delete the file to start the run anew" in refused(path)


def test_a_flipped_bit_of_any_stored_number_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    model, _ = saved(path)
    content = path.read_bytes()
    weights = model[0].weight.detach().numpy().tobytes()
    place = content.index(weights)
    for offset in random.Random(0).sample(range(len(weights)), 5):
        damaged = bytearray(content)
        damaged[place + offset] ^= 1
        path.write_bytes(damaged)
        assert "cannot be read" in refused(path)


def test_a_file_with_other_content_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    for content in ([1, 2], {"step": 3}):
        buffer = io.BytesIO()
        torch.save(content, buffer)
        path.write_bytes(buffer.getvalue())
        assert "is not what was saved" in refused(path)


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return open, ("trapped", "w")


def test_no_code_in_a_state_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"key": KEY, "model": Trap()}, tmp_path / "state.pt")
    assert "cannot be read" in refused(tmp_path / "state.pt")
    assert not (tmp_path / "trapped").exists()


def test_only_the_newest_snapshots_are_kept(tmp_path: Path) -> None:
    for step in (5, 1000, 20, 999):
        save_snapshot(tmp_path, step, network(), keep=3)
    assert [path.stem for path in snapshot_paths(tmp_path)] == [
        "step-00000020",
        "step-00000999",
        "step-00001000",
    ]


def test_snapshots_ahead_of_a_step_are_dropped(tmp_path: Path) -> None:
    for step in (1, 2, 10):
        save_snapshot(tmp_path, step, network(), keep=9)
    drop_snapshots_after(tmp_path, 2)
    assert [path.stem for path in snapshot_paths(tmp_path)] == ["step-00000001", "step-00000002"]
    drop_snapshots_after(tmp_path / "missing", 0)


def test_the_average_is_the_mean_of_the_weights(tmp_path: Path) -> None:
    models = [network(seed) for seed in range(3)]
    for step, model in enumerate(models):
        save_snapshot(tmp_path, step, model, keep=9)
    average = average_snapshots(snapshot_paths(tmp_path))
    assert set(average) == {name for name, _ in models[0].named_parameters()}
    for name, mean in average.items():
        wanted = torch.stack([dict(model.named_parameters())[name].double() for model in models]).mean(0)
        assert torch.equal(mean, wanted.float())


def test_the_average_of_one_is_itself(tmp_path: Path) -> None:
    model = network()
    save_snapshot(tmp_path, 1, model, keep=1)
    for name, mean in average_snapshots(snapshot_paths(tmp_path)).items():
        assert torch.equal(mean, dict(model.named_parameters())[name])


def test_nothing_to_average_and_a_damaged_snapshot_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ResumeError, match="no weight snapshot"):
        average_snapshots([])
    save_snapshot(tmp_path, 1, network(), keep=1)
    (path,) = snapshot_paths(tmp_path)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ResumeError, match=r"step-00000001\.safetensors: cannot be read"):
        average_snapshots([path])
