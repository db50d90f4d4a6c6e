"""A whole run from recipe to bundle, and what a run refuses before it starts."""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from model.checkpoint import load_bundle
from tests.training.runs import config
from training.config import TrainingConfig, load_recipe
from training.distributed import World
from training.errors import RecipeError, ResumeError
from training.files import only_user
from training.run import train
from training.update import Learner


def generated(**sections: Any) -> TrainingConfig:
    generate = {"kind": "digit-reversal", "train_pairs": 200, "held_out_pairs": 5}
    test = [{"name": "test", "tsv": "test.tsv"}]
    return config(**{"generate": generate, "max_steps": 4, "test": test, **sections})


def test_a_recipe_becomes_a_bundle(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "tiny"
    assert train(generated(), tmp_path, run)
    bundle = load_bundle(run / "bundle")
    assert bundle.info.name == "tiny"
    assert str(tmp_path) not in (run / "bundle" / "training.yaml").read_text(encoding="utf-8")
    assert str(tmp_path) not in (run / "bundle" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert load_recipe(run / "config.yaml") == generated()
    assert not list(run.rglob("*.tmp"))


def test_no_network_is_in_use_when_the_processes_part(tmp_path: Path) -> None:
    """It would hold their group beyond its end."""

    def learners() -> int:
        gc.collect()
        return sum(type(thing) is Learner for thing in gc.get_objects())

    class Parting(World):
        @contextmanager
        def joined(self, device: torch.device) -> Iterator[None]:
            yield
            at_the_end.append(learners())

    at_the_end: list[int] = []
    before = learners()
    assert train(generated(), tmp_path, tmp_path / "run", world=Parting())
    assert at_the_end == [before]


def test_a_run_that_is_out_of_time_writes_no_bundle_and_goes_on_later(tmp_path: Path) -> None:
    straight, stopped = tmp_path / "a", tmp_path / "b"
    assert train(generated(), tmp_path, straight)
    assert not train(generated(max_seconds=1e-6), tmp_path, stopped)
    assert not (stopped / "bundle").exists()
    assert train(generated(), tmp_path, stopped)
    one, other = load_bundle(straight / "bundle").model, load_bundle(stopped / "bundle").model
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def test_a_finished_run_can_be_released_again(tmp_path: Path) -> None:
    assert train(generated(), tmp_path, tmp_path / "run")
    before = load_bundle(tmp_path / "run" / "bundle")
    assert train(generated(card={"summary": "Now with a card."}), tmp_path, tmp_path / "run")
    after = load_bundle(tmp_path / "run" / "bundle")
    assert torch.equal(before.model.output.weight, after.model.output.weight)
    assert "Now with a card." in (after.path / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_what_a_killed_run_left_of_its_bundle_is_removed(tmp_path: Path) -> None:
    left = tmp_path / "run" / ".bundle.0123abcd.partial"
    left.mkdir(parents=True)
    (left / "model.safetensors").touch()
    assert not train(generated(), tmp_path, tmp_path / "run", leg_seconds=0)
    assert not left.exists()


def test_a_refused_run_leaves_the_recipe_of_the_one_in_the_folder(tmp_path: Path) -> None:
    assert train(generated(), tmp_path, tmp_path / "run")
    with pytest.raises(ResumeError, match=r"run: seed was its default, is 7; put back what it was"):
        train(generated(seed=7), tmp_path, tmp_path / "run")
    assert load_recipe(tmp_path / "run" / "config.yaml").seed == 1


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"model": {"dropout": 0.5}}, r"run: model\.dropout was its default, is 0\.5; put back"),
        ({"batch": {"pool_batches": 3}}, r"run: batch\.pool_batches was its default, is 3; put back"),
    ],
)
def test_the_setting_that_a_run_cannot_go_on_with_is_named(
    tmp_path: Path, changes: dict[str, Any], fault: str
) -> None:
    run = tmp_path / "run"
    assert train(generated(), tmp_path, run)
    with pytest.raises(ResumeError, match=fault):
        train(generated(**changes), tmp_path, run)
    (run / "config.yaml").unlink()
    with pytest.raises(ResumeError, match="belongs to a run with another network"):
        train(generated(**changes), tmp_path, run)


@pytest.mark.parametrize("content", [None, b"junk"], ids=["gone", "damaged"])
def test_a_run_without_its_vocabulary_is_refused_in_one_line(tmp_path: Path, content: bytes | None) -> None:
    run = tmp_path / "run"
    assert train(generated(), tmp_path, run)
    model = run / "tokenizer" / "tokenizer.model"
    model.unlink() if content is None else model.write_bytes(content)
    with pytest.raises(ResumeError, match=r"run.tokenizer: .*; put back what it was, or use another run"):
        train(generated(), tmp_path, run)


def test_steps_that_cannot_be_shared_evenly_are_told_before_anything_is_prepared(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"batch\.batches_per_update must be a multiple of the 2 processes"):
        train(generated(batch={"batches_per_update": 3}), tmp_path, tmp_path / "run", world=World(0, 2, 0))
    assert not (tmp_path / "run").exists()


def test_a_disk_that_runs_full_is_told_with_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    run = tmp_path / "run"
    assert not train(generated(max_seconds=1e-6), tmp_path, run)
    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match=r"No space left on device: '.*run/generated/train\.tsv'"):
        train(generated(), tmp_path, run)
    monkeypatch.undo()
    assert train(generated(), tmp_path, run)


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    with (
        only_user(tmp_path / "run"),
        pytest.raises(ResumeError, match="another process works in this folder"),
    ):
        train(generated(), tmp_path, tmp_path / "run")


def test_a_device_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"device must be one that torch sees .*, got cuda:77"):
        train(generated(device="cuda:77"), tmp_path, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_recipe_decides_the_number_of_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    train(generated(num_threads=3), tmp_path, tmp_path / "run")
    assert asked == [3]


def test_a_run_can_be_made_outside_the_main_thread(tmp_path: Path) -> None:
    results: list[bool] = []
    worker = threading.Thread(target=lambda: results.append(train(generated(), tmp_path, tmp_path / "run")))
    worker.start()
    worker.join()
    assert results == [True]
