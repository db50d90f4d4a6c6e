"""Which weights a run keeps and looks at, when it ends early, and that a stop changes none of it."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.training.lively_runs import LIVELY, assert_same_run, batches_per_epoch, weights, whole
from tests.training.runs import ListeningMonitor, trainer
from training.evaluation import Scores
from training.snapshots import average_snapshots, snapshot_paths
from training.trainer import Trainer
from training.validation import Look


def snapshot_steps(run: Trainer) -> list[int]:
    return [int(path.stem.removeprefix("step-")) for path in snapshot_paths(run.snapshot_folder)]


def looks_worth(run: Trainer, values: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """The dev text is not translated: its looks have these chrF scores, one after the other."""
    given = iter(values)

    def seen(*args: Any) -> Look:
        return Look(1.0, Scores(0.0, next(given), "", ""))

    monkeypatch.setattr("training.trainer.look", seen)


BEST: dict[str, Any] = {
    "max_steps": 5,
    "checkpoint": {"interval_steps": 1, "keep": 2, "average": 1, "choose": "best"},
    "validation": {"interval_steps": 1},
}


def test_the_snapshots_of_the_best_looks_are_kept_and_the_best_is_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trainer(tmp_path, **BEST)
    looks_worth(run, [1.0, 7.0, 3.0, 5.0, 2.0], monkeypatch)
    assert run.run()
    assert snapshot_steps(run) == [2, 4]
    assert [path.stem for path in run.kept_snapshots()] == ["step-00000002", "step-00000004"]


def test_a_killed_run_still_has_the_best_snapshots_of_its_saved_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sections = {**BEST, "checkpoint": {**BEST["checkpoint"], "interval_steps": 3}}
    run = trainer(tmp_path, ListeningMonitor(lambda step: fail_at(step, 5)), **sections)
    looks_worth(run, [4.0, 7.0, 3.0, 9.0], monkeypatch)  # the fourth is forgotten with the process
    with pytest.raises(KeyboardInterrupt):
        run.run()
    again = trainer(tmp_path, **sections)
    assert again.progress.step == 3
    assert snapshot_steps(again) == [1, 2]
    looks_worth(again, [9.0, 8.0], monkeypatch)
    assert again.run()
    assert snapshot_steps(again) == [4, 5]


def fail_at(step: int, at: int) -> None:
    if step == at:
        raise KeyboardInterrupt


def test_a_run_ends_after_looks_without_a_better_one_and_stays_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sections: dict[str, Any] = {"max_steps": 9, "validation": {"interval_steps": 1, "patience": 2}}
    run = trainer(tmp_path, **sections)
    looks_worth(run, [1.0, 3.0, 2.0, 3.0], monkeypatch)
    assert run.run()
    assert run.progress.step == 4
    assert "no better chrf in 2 looks: the run ends here" in run.monitor.lines
    assert snapshot_steps(run) == [4]  # so that there is something to release
    again = trainer(tmp_path, **sections)
    assert again.run()
    assert again.progress.step == 4


def test_more_patience_lets_an_ended_run_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sections: dict[str, Any] = {"max_steps": 6, "validation": {"interval_steps": 1, "patience": 1}}
    run = trainer(tmp_path, **sections)
    looks_worth(run, [2.0, 1.0, 1.0, 3.0, 4.0, 5.0], monkeypatch)
    assert run.run()
    assert run.progress.step == 2
    patient = trainer(tmp_path, **{**sections, "validation": {"interval_steps": 1, "patience": 3}})
    assert patient.run()
    assert patient.progress.step == 6


def test_looks_by_another_metric_are_not_compared_with_those_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trainer(tmp_path, **BEST)
    looks_worth(run, [30.0] * 5, monkeypatch)
    assert run.run()
    monitor = ListeningMonitor()
    by_loss = {"interval_steps": 1, "metric": "loss", "patience": 2}
    again = trainer(tmp_path, monitor, **{**BEST, "max_steps": 8, "validation": by_loss})
    (said,) = [line for line in monitor.lines if line.startswith("looks are compared anew")]
    assert said.endswith("by metric chrf, num_sentences 3, strategy greedy, and are by metric loss")
    assert len(again.kept_snapshots()) == 2  # until there is a look by the new one
    losses = iter([3.0, 2.0, 1.0])
    monkeypatch.setattr("training.trainer.look", lambda *_: Look(next(losses), Scores(0.0, 30.0, "", "")))
    assert again.run()
    assert (again.progress.step, again.progress.best_steps) == (8, [(-1.0, 8), (-2.0, 7)])
    assert snapshot_steps(again) == [7, 8]


def test_snapshots_and_looks_are_of_the_moving_average(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trainer(tmp_path, max_steps=4, checkpoint={"interval_steps": 2, "ema_decay": 0.9})
    seen: list[Tensor] = []

    def look_at(network: Any, *args: Any) -> Look:
        seen.append(network.output.weight.detach().clone())
        return Look(1.0, Scores(0.0, 1.0, "", ""))

    monkeypatch.setattr("training.trainer.look", look_at)
    own: dict[str, Tensor] = {}
    run.monitor.on_step = lambda step: own.update(weights(run))
    assert run.run()
    values = run.average.values
    name = next(name for name in values if torch.equal(values[name], seen[-1]))
    saved = average_snapshots([snapshot_paths(run.snapshot_folder)[-1]])
    assert all(torch.equal(value, values[name]) for name, value in saved.items())
    assert not torch.equal(values[name], own["output.weight"])
    assert all(torch.equal(own[name], tensor) for name, tensor in run.model.state_dict().items())


def test_a_stopped_run_goes_on_with_its_moving_average(tmp_path: Path) -> None:
    sections: dict[str, Any] = {"checkpoint": {"interval_steps": 4, "ema_decay": 0.9}}
    straight = whole(tmp_path / "a", **sections)
    stopped = trainer(tmp_path / "b", ListeningMonitor(lambda step: fail_at(step, 7)), **LIVELY, **sections)
    with pytest.raises(KeyboardInterrupt):
        stopped.run()
    resumed = whole(tmp_path / "b", **sections)
    assert_same_run(straight, resumed)
    for name, value in straight.average.values.items():
        assert torch.equal(value, resumed.average.values[name])


@pytest.mark.parametrize("stop_at", [1, 4])
def test_a_run_whose_steps_are_several_batches_resumes_bit_for_bit(tmp_path: Path, stop_at: int) -> None:
    sections: dict[str, Any] = {
        "max_steps": 6,
        "batch": {"batches_per_update": 3},
        "optimizer": {"r_drop": 2.0},
    }
    straight = whole(tmp_path / "a", **sections)
    assert straight.progress.epoch > 1  # steps cross the ends of epochs

    def terminate(step: int) -> None:
        if step == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)

    assert not trainer(tmp_path / "b", ListeningMonitor(terminate), **{**LIVELY, **sections}).run()
    assert_same_run(straight, whole(tmp_path / "b", **sections))


def test_the_size_of_a_step_may_be_changed_between_starts(tmp_path: Path) -> None:
    whole(tmp_path, max_steps=2, batch={"batches_per_update": 2})
    run = whole(tmp_path, max_steps=4, batch={"batches_per_update": 3})
    size = batches_per_epoch(run)
    assert (run.progress.epoch, run.progress.batch) == divmod(2 * 2 + 2 * 3, size)


def test_a_run_that_is_stopped_in_its_last_step_ends_there(tmp_path: Path) -> None:
    """What would follow, the scores of a whole test, may take an hour."""

    def press_ctrl_c(step: int) -> None:
        if step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    stopped = trainer(tmp_path, ListeningMonitor(press_ctrl_c), max_steps=3)
    assert (stopped.run(), stopped.finished) == (False, True)
    assert trainer(tmp_path, max_steps=3).run()
