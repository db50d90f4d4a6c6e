"""The loop: it learns, resumes bit for bit wherever it was stopped, and stops before a bad update."""

import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.training.lively_runs import LIVELY, assert_same_run, batches_per_epoch, weights, whole
from tests.training.runs import ListeningMonitor, config, pairs, prepared, trainer
from training.batching import Batch
from training.config import check_recipe
from training.errors import ResumeError, TrainingDiverged
from training.evaluation import translate_sentences
from training.run_key import run_key
from training.schedule import learning_rate
from training.snapshots import snapshot_paths
from training.stream import Place
from training.trainer import Trainer

# Resuming


@pytest.mark.parametrize("stop_at", [1, 3, 7, 11])
def test_a_run_stopped_by_ctrl_c_and_resumed_ends_with_the_same_weights(tmp_path: Path, stop_at: int) -> None:
    straight = whole(tmp_path / "a")
    assert 2 < batches_per_epoch(straight) < 12  # so that stops fall within an epoch, and epochs end

    def press_ctrl_c(step: int) -> None:
        if step == stop_at:
            os.kill(os.getpid(), signal.SIGINT)

    stopped = trainer(tmp_path / "b", ListeningMonitor(press_ctrl_c), **LIVELY)
    assert not stopped.run()
    assert stopped.progress.step == stop_at
    assert_same_run(straight, whole(tmp_path / "b"))


def test_a_run_stopped_at_every_step_ends_with_the_same_weights(tmp_path: Path) -> None:
    straight = whole(tmp_path / "a", max_steps=6)

    def terminate(step: int) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    for done in range(1, 6):
        part = trainer(tmp_path / "b", ListeningMonitor(terminate), max_steps=6, **LIVELY)
        assert not part.run()
        assert part.progress.step == done
    assert_same_run(straight, whole(tmp_path / "b", max_steps=6))


def test_a_killed_run_goes_on_from_its_last_checkpoint(tmp_path: Path) -> None:
    sections: dict[str, Any] = {"checkpoint": {"interval_steps": 4}}
    straight = whole(tmp_path / "a", **sections)

    class Killed(BaseException):
        pass

    def kill(step: int) -> None:
        if step == 7:
            raise Killed

    killed = trainer(tmp_path / "b", ListeningMonitor(kill), **LIVELY, **sections)
    with pytest.raises(Killed):
        killed.run()
    resumed = trainer(tmp_path / "b", **LIVELY, **sections)
    assert resumed.progress.step == 4
    assert resumed.run()
    assert_same_run(straight, resumed)


def test_looking_at_the_dev_text_changes_nothing(tmp_path: Path) -> None:
    often = whole(tmp_path / "a", validation={"interval_steps": 2, "strategy": "beam"})
    assert_same_run(often, whole(tmp_path / "b"))


def test_checkpoints_and_pauses_change_nothing(tmp_path: Path) -> None:
    assert_same_run(whole(tmp_path / "a", checkpoint={"interval_steps": 1}), whole(tmp_path / "b"))


def test_a_run_out_of_time_is_resumed_with_more(tmp_path: Path) -> None:
    straight = whole(tmp_path / "a")
    short = trainer(tmp_path / "b", max_seconds=1e-6, **LIVELY)
    assert not short.run()
    assert short.progress.step == 1
    assert_same_run(straight, whole(tmp_path / "b", max_seconds=1e6))


def test_a_run_whose_leg_ends_is_resumed(tmp_path: Path) -> None:
    straight = whole(tmp_path / "a")
    run = trainer(tmp_path / "b", **LIVELY)
    assert not run.run(leg_ends=time.monotonic())
    assert run.progress.step == 0
    assert_same_run(straight, whole(tmp_path / "b"))


def test_a_finished_run_makes_no_further_step(tmp_path: Path) -> None:
    first = whole(tmp_path)
    again = whole(tmp_path)
    assert_same_run(first, again)
    assert again.progress.step == 12


def test_more_steps_can_be_asked_for_later(tmp_path: Path) -> None:
    straight = whole(tmp_path / "a", max_steps=12)
    whole(tmp_path / "b", max_steps=5)
    assert_same_run(straight, whole(tmp_path / "b", max_steps=12))


@pytest.mark.parametrize(
    "changed",
    [
        {"seed": 2},
        {"model": {**LIVELY["model"], "encoder_ffn_dim": 64}},
        {"batch": {"max_tokens": 199}},
        {"data": {"max_characters": 400}},
        {"tokenizer": {"kind": "unigram"}},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_run_with_other_data_or_network_is_not_resumed(tmp_path: Path, changed: dict[str, Any]) -> None:
    whole(tmp_path, max_steps=1)
    with pytest.raises(ResumeError, match="another network, tokenizer or data"):
        trainer(tmp_path, **{**LIVELY, **changed})


def test_what_lies_ahead_of_the_saved_state_is_forgotten(tmp_path: Path) -> None:
    run = whole(tmp_path, checkpoint={"interval_steps": 4})
    names = [path.name for path in snapshot_paths(run.snapshot_folder)]
    assert names == [f"step-{step:08d}.safetensors" for step in (4, 8, 12)]
    (tmp_path / "state.pt").unlink()
    monitor = ListeningMonitor()
    trainer(tmp_path, monitor, **LIVELY)
    assert snapshot_paths(run.snapshot_folder) == []
    assert monitor.started_at == 0


def test_the_key_of_a_run_is_the_one_that_saved_states_hold() -> None:
    """Another way to make the key would refuse every state that was saved before."""
    settings = check_recipe(
        {
            "name": "first",
            "directions": [["en", "de"]],
            "seed": 3,
            "data": {
                "train": [{"tsv": "a.tsv", "repeat": 2}, {"source": "a.en", "target": "a.de"}],
                "dev": [{"tsv": "b.tsv", "columns": [1, 0]}],
            },
            "model": {"d_model": 256},
            "batch": {"max_tokens": 1600},
            "tokenizer": {"vocab_size": 8000},
        }
    )
    assert run_key(settings, {}) == "3327adbad94a2f87a066b4fdd73119a459a315674fea2b91ae5510ccdab9d958"


# Learning


def test_it_learns_a_few_pairs_by_heart(tmp_path: Path) -> None:
    run = trainer(
        tmp_path,
        count=4,
        max_steps=120,
        model={"dropout": 0.0, "d_model": 32},
        optimizer={"label_smoothing": 0.0, "warmup_steps": 20},
        decoding={"strategy": "greedy", "max_length": 60},
    )
    assert run.run()
    assert run.monitor.records[-2]["loss"] < 0.05
    sources = [pair.source for pair in pairs(4)]
    found = translate_sentences(run.model, run.data.tokenizer, sources, run.config.decoding_options())
    assert found == [pair.target for pair in pairs(4)]


def test_the_seed_decides_the_weights(tmp_path: Path) -> None:
    assert_same_run(whole(tmp_path / "a"), whole(tmp_path / "b"))
    other = whole(tmp_path / "c", seed=2)
    assert not torch.equal(other.model.output.weight, whole(tmp_path / "d").model.output.weight)


def test_every_step_has_the_rate_of_the_schedule(tmp_path: Path) -> None:
    rates: list[float] = []
    monitor = ListeningMonitor(lambda step: rates.append(run.learner.optimizer.param_groups[0]["lr"]))
    run = trainer(tmp_path, monitor)
    run.run()
    assert rates == [learning_rate(step, run.config.optimizer, 12) for step in range(1, 13)]


def test_adam_is_the_papers_and_the_recipe_can_change_it(tmp_path: Path) -> None:
    defaults = trainer(tmp_path / "a").learner.optimizer.defaults
    assert (defaults["betas"], defaults["eps"]) == ((0.9, 0.98), 1e-9)
    changed = trainer(
        tmp_path / "b", optimizer={"beta1": 0.8, "beta2": 0.99, "epsilon": 1e-6}
    ).learner.optimizer
    assert (changed.defaults["betas"], changed.defaults["eps"]) == ((0.8, 0.99), 1e-6)


def test_long_gradients_are_clipped_and_their_length_recorded(tmp_path: Path) -> None:
    norms: list[float] = []
    run = trainer(tmp_path, optimizer={"clip_norm": 0.01})
    step = run.learner.optimizer.step

    def measured(*args: Any) -> None:
        gradients = [p.grad.norm() for p in run.model.parameters() if p.grad is not None]
        norms.append(float(torch.stack(gradients).norm()))
        step()

    run.learner.optimizer.step = measured
    run.run()
    assert norms == pytest.approx([0.01] * 12, rel=1e-3)
    assert run.monitor.records[0]["gradient_norm"] > 0.1


def test_bfloat16_keeps_weights_and_moments_in_single_precision(tmp_path: Path) -> None:
    run = whole(tmp_path, precision="bfloat16")
    assert {parameter.dtype for parameter in run.model.parameters()} == {torch.float32}
    assert run.learner.optimizer.state[run.model.output.weight]["exp_avg"].dtype == torch.float32
    assert_same_run(run, whole(tmp_path, precision="bfloat16"))


def test_a_log_line_and_a_record_say_how_it_goes(tmp_path: Path) -> None:
    monitor = ListeningMonitor()
    run = trainer(tmp_path, monitor)
    run.run()
    record = next(record for record in monitor.records if "loss" in record)
    assert set(record) == {
        "step", "loss", "gradient_norm", "learning_rate", "tokens_per_second", "target_tokens", "seconds",
    }  # fmt: skip
    assert record["target_tokens"] == run.progress.target_tokens > 0
    assert any(line.startswith("step 12 epoch") and "target tokens/s" in line for line in monitor.lines)
    assert any("dev loss" in line and "BLEU" in line and "chrF" in line for line in monitor.lines)


# Stopping


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_the_run_before_the_weights_change(
    tmp_path: Path, bad: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trainer(tmp_path, checkpoint={"interval_steps": 2})
    sound = run.learner._loss

    def loss_of(place: Place, batch: Batch) -> tuple[Tensor, Tensor]:
        factor = bad if run.progress.step == 5 else 1.0
        whole, shown = sound(place, batch)
        return whole * factor, shown * factor

    monkeypatch.setattr(run.learner, "_loss", loss_of)
    before: dict[str, Tensor] = {}
    run.monitor.on_step = lambda step: before.update(weights(run))
    with pytest.raises(
        TrainingDiverged,
        match=r"step 6: loss (nan|inf), .*is sound; lower .*peak_learning_rate \(now 0\.01\)",
    ):
        run.run()
    assert run.progress.step == 5
    assert all(torch.equal(before[name], tensor) for name, tensor in run.model.state_dict().items())
    resumed = trainer(tmp_path)
    assert resumed.progress.step == 4
    assert resumed.run()
    straight = trainer(tmp_path / "straight")
    assert straight.run()
    assert_same_run(resumed, straight)


def test_a_gradient_that_is_no_number_ends_the_run_though_the_loss_is_one(tmp_path: Path) -> None:
    run = trainer(tmp_path)
    run.model.output.weight.register_hook(lambda gradient: gradient * float("inf"))
    before = weights(run)
    with pytest.raises(TrainingDiverged, match=r"step 1: loss \d+\.\d+, gradient norm (inf|nan)"):
        run.run()
    assert all(torch.equal(before[name], tensor) for name, tensor in run.model.state_dict().items())
    assert not (tmp_path / "state.pt").exists()


def test_signals_are_the_programs_own_again_after_a_run(tmp_path: Path) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    whole(tmp_path)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_second_ctrl_c_ends_the_run_at_once(tmp_path: Path) -> None:
    def press_twice(step: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    run = trainer(tmp_path, ListeningMonitor(press_twice))
    with pytest.raises(KeyboardInterrupt):
        run.run()


def test_the_dev_scores_are_of_the_asked_number_of_sentences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def counted(model: Any, tokenizer: Any, sentences: list[str], options: Any, *, signal: Any) -> list[str]:
        seen.append(len(sentences))
        return list(sentences)

    monkeypatch.setattr("training.validation.translate", counted)
    run = Trainer(config(validation={"num_sentences": 2}), prepared(config()), tmp_path, ListeningMonitor())
    run.validate()
    assert seen == [2]


def with_dev_text(folder: Path, sha256: str) -> Trainer:
    settings = config(max_steps=2)
    data = replace(prepared(settings), dev_sha256={"dev.tsv": sha256})
    made = Trainer(settings, data, folder, ListeningMonitor())
    made.resume()
    return made


def test_a_run_does_not_go_on_with_another_dev_text(tmp_path: Path) -> None:
    with_dev_text(tmp_path, "one").run()
    with pytest.raises(
        ResumeError, match=r"another dev text \(dev\.tsv has another content\); put back what"
    ):
        with_dev_text(tmp_path, "other")
    assert with_dev_text(tmp_path, "one").finished


def test_an_older_state_does_not_say_what_the_dev_text_was(tmp_path: Path) -> None:
    with_dev_text(tmp_path, "one").run()
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    del state["progress"]["dev_sha256"]
    torch.save(state, tmp_path / "state.pt")
    assert with_dev_text(tmp_path, "other").progress.dev_sha256 == {"dev.tsv": "other"}
