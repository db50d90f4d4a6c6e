"""A baseline through the same trainer: it learns, resumes exactly, is scored, and never becomes a bundle."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from model.decoding.options import DecodingOptions
from tests.builders import tiny_tokenizer
from tests.training.runs import ListeningMonitor, prepared, recipe
from training.baselines.outcome import SCORES_FILE
from training.baselines.recurrent import RecurrentNetwork
from training.baselines.reduced import ReducedTransformerNetwork
from training.config import TrainingConfig, check_recipe
from training.errors import RecipeError
from training.networks import as_transformer, build_network, translate
from training.release import BUNDLE, release
from training.trainer import Trainer

GRU = {"kind": "gru", "embedding_size": 16, "hidden_size": 16}
REDUCED = {"kind": "transformer", "without": ["positions"]}


def settings(baseline: dict[str, Any], **sections: Any) -> TrainingConfig:
    values = recipe(baseline=baseline, **sections)
    if baseline.get("kind") == "gru" and "model" not in sections:
        values["model"] = {"max_source_length": 64, "max_target_length": 64}
    return check_recipe(values)


def trainer(config: TrainingConfig, folder: Path, monitor: ListeningMonitor | None = None) -> Trainer:
    made = Trainer(config, prepared(config), folder, monitor or ListeningMonitor())
    made.resume()
    return made


def test_a_recipe_names_the_network_that_is_built() -> None:
    for baseline, kind in ((GRU, RecurrentNetwork), (REDUCED, ReducedTransformerNetwork)):
        config = settings(baseline)
        assert type(build_network(config, prepared(config).network)) is kind


def test_a_recurrent_network_learns_with_the_trainer(tmp_path: Path) -> None:
    monitor = ListeningMonitor()
    run = trainer(settings(GRU, max_steps=30, optimizer={"peak_learning_rate": 0.02}), tmp_path, monitor)
    run.validate()
    assert run.run()  # and validates at its end
    losses = [line["dev_loss"] for line in monitor.records if "dev_loss" in line]
    assert losses[-1] < 0.8 * losses[0]


def test_a_stopped_baseline_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    whole = trainer(settings(GRU), tmp_path / "whole")
    assert whole.run()
    first = trainer(settings(GRU, max_steps=5), tmp_path / "parts")
    assert first.run()
    second = trainer(settings(GRU), tmp_path / "parts")
    assert second.progress.step == 5
    assert second.run()
    for one, other in zip(whole.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_state_of_one_baseline_is_refused_by_another(tmp_path: Path) -> None:
    assert trainer(settings(REDUCED, max_steps=2), tmp_path).run()
    with pytest.raises(Exception, match="belongs to a run with another network"):
        trainer(settings({**REDUCED, "without": ["attention-scale"]}, max_steps=2), tmp_path)


@pytest.mark.parametrize("baseline", [GRU, REDUCED])
def test_a_finished_baseline_leaves_scores_and_no_bundle(baseline: dict[str, Any], tmp_path: Path) -> None:
    run = trainer(settings(baseline, max_steps=3, decoding={"strategy": "beam", "beam_size": 2}), tmp_path)
    assert run.run()
    path = release(run, run.monitor)
    assert path == tmp_path / SCORES_FILE
    assert not (tmp_path / BUNDLE).exists()
    said = json.loads(path.read_text())
    assert said["baseline"]["kind"] == baseline["kind"]
    assert said["steps"] == 3
    assert set(said["scores"]) == {"dev", "test"}
    assert "version" in said["scores"]["test"]["bleu_signature"]


def test_translating_leaves_a_network_in_training_mode() -> None:
    config = settings(GRU)
    network = build_network(config, prepared(config).network)
    options = DecodingOptions(strategy="greedy", max_length=5)
    found = [translate(network, tiny_tokenizer(), ["ba be", "ba"], options) for _ in range(2)]
    assert network.training
    assert found[0] == found[1]


def test_only_a_network_that_decodes_is_translated_with() -> None:
    with pytest.raises(TypeError, match="not Linear"):
        translate(nn.Linear(1, 1), tiny_tokenizer(), ["ba"], DecodingOptions())


def test_a_reduced_transformer_is_no_bundle() -> None:
    config = settings(REDUCED)
    with pytest.raises(TypeError, match="not ReducedTransformerNetwork"):
        as_transformer(build_network(config, prepared(config).network))


def test_what_a_baseline_would_not_heed_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"model\.d_model must be left out with baseline gru"):
        settings(GRU, model={"d_model": 16})
    values = {name: value for name, value in recipe(baseline=REDUCED).items() if name != "tokenizer"}
    with pytest.raises(RecipeError, match="start_from must be left out with baseline"):
        check_recipe({**values, "start_from": "some/bundle"})


@pytest.mark.parametrize(
    ("baseline", "fault"),
    [
        ({**GRU, "hidden": 3}, r"hidden is not a known setting \(did you mean hidden_size\?\)"),
        ({**GRU, "hidden_size": 0}, "hidden_size.*greater than or equal to 1"),
        ({"kind": "lstm"}, "lstm"),
        ({"kind": "transformer"}, "without must be given"),
        ({"kind": "transformer", "without": []}, "without.*at least 1"),
        ({"kind": "transformer", "without": ["heads"]}, "without.*'positions'"),
    ],
)
def test_a_wrong_baseline_is_refused_by_name(baseline: dict[str, Any], fault: str) -> None:
    with pytest.raises(RecipeError, match=fault):
        settings(baseline)
