"""Saved states: everything comes back, damage and other runs are refused."""

import io
import random
from pathlib import Path

import pytest
import torch
from torch import nn

from training.ema import MovingAverage
from training.errors import ResumeError
from training.state import Progress, load_state, save_state

KEY = "the run's key"


def network(seed: int = 0) -> nn.Module:
    """Two layers that share one matrix, as embeddings and output do."""
    torch.manual_seed(seed)
    first, second = nn.Linear(6, 6), nn.Linear(6, 6)
    second.weight = first.weight
    return nn.Sequential(first, nn.Dropout(0.5), second)


def adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=0.01, fused=True)


def steps(model: nn.Module, optimizer: torch.optim.Optimizer, count: int, first: int = 0) -> None:
    for step in range(first, first + count):
        torch.manual_seed(step)
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
    steps(model, optimizer, 4, first=3)

    other = network(seed=99)
    other_optimizer = adam(other)
    assert load_state(path, other, other_optimizer, KEY) == Progress(3, 1, 2, 40, 0.5)
    steps(other, other_optimizer, 4, first=3)
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


def averaged(model: nn.Module, count: int) -> MovingAverage:
    """An average that has drawn away from the weights."""
    average = MovingAverage(model, 0.9)
    optimizer = adam(model)
    for step in range(1, count + 1):
        steps(model, optimizer, 1)
        average.update(step)
    return average


def test_a_moving_average_comes_back(tmp_path: Path) -> None:
    model = network()
    average = averaged(model, 3)
    save_state(tmp_path / "state.pt", model, adam(model), Progress(), KEY, average)
    other = network(seed=9)
    restored = MovingAverage(other, 0.9)
    load_state(tmp_path / "state.pt", other, adam(other), KEY, restored)
    assert all(torch.equal(value, average.values[name]) for name, value in restored.values.items())
    assert not torch.equal(restored.values["0.weight"], other[0].weight)


def test_an_average_that_was_not_saved_begins_as_the_saved_weights(tmp_path: Path) -> None:
    model, _ = saved(tmp_path / "state.pt")
    other = network(seed=9)
    average = averaged(other, 2)
    load_state(tmp_path / "state.pt", other, adam(other), KEY, average)
    for name, parameter in model.named_parameters():
        assert torch.equal(average.values[name], parameter)
    average.update(1)  # it follows the restored weights
    assert torch.equal(average.values["0.bias"], model[0].bias)


def test_a_resumed_run_has_the_optimizer_settings_of_its_recipe(tmp_path: Path) -> None:
    saved(tmp_path / "state.pt")
    model = network(seed=9)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02, betas=(0.5, 0.75), eps=1e-3, fused=True)
    load_state(tmp_path / "state.pt", model, optimizer, KEY)
    assert optimizer.state_dict()["state"][0]["step"] == 3
    (group,) = optimizer.param_groups
    assert (group["betas"], group["eps"], group["lr"]) == ((0.5, 0.75), 1e-3, 0.02)


def began_with(path: Path, start_from: str | None) -> None:
    model = network()
    save_state(path, model, adam(model), Progress(), KEY, start_from=start_from)


@pytest.mark.parametrize(
    ("before", "now"), [("gone/bundle", "other"), ("gone/bundle", None), (None, "other")]
)
def test_a_run_that_began_with_another_bundle_is_refused(
    tmp_path: Path, before: str | None, now: str | None
) -> None:
    path, model = tmp_path / "state.pt", network()
    began_with(path, before)
    fault = f"start_from was {before or 'left out'}, is {now or 'left out'}; put back what it was"
    with pytest.raises(ResumeError, match=fault):
        load_state(path, model, adam(model), KEY, start_from=now)


def test_the_bundle_that_a_run_began_with_may_be_gone(tmp_path: Path) -> None:
    path, model = tmp_path / "state.pt", network()
    began_with(path, "gone/bundle")
    assert load_state(path, model, adam(model), KEY, start_from="gone/bundle") == Progress()


def test_an_older_state_does_not_say_what_it_began_with_nor_how_looks_were_judged(tmp_path: Path) -> None:
    path, model = tmp_path / "state.pt", network()
    saved(path)
    state = torch.load(path, weights_only=True)
    del state["start_from"], state["progress"]["judged_by"]
    torch.save(state, path)
    assert load_state(path, model, adam(model), KEY, start_from="any") == Progress(3, 1, 2, 40, 0.5)
