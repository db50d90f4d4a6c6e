"""Fine-tuning: a run whose first weights and vocabulary are a bundle's."""

import shutil
from pathlib import Path

import pytest
import torch

from model.checkpoint import BundleError, load_bundle
from tests.builders import tiny_bundle, tiny_config
from tests.training.runs import ListeningMonitor, config, pairs, prepared
from training.config import TrainingConfig, check_recipe
from training.errors import RecipeError
from training.preparation import prepare
from training.release import published
from training.run import train
from training.trainer import Trainer

# What a recipe may say of the tiny bundle's network; the rest comes from its tokenizer.
FROM_BUNDLE = {"source_vocab_size", "target_vocab_size", "pad_id", "eos_id", "decoder_start_id"}


def fine_tuning(bundle: Path | str, **model: object) -> TrainingConfig:
    shape = {name: value for name, value in tiny_config().to_dict().items() if name not in FROM_BUNDLE}
    settings = config(model={**shape, **model}, data={"max_tokens": 16}).model_dump(exclude={"tokenizer"})
    return TrainingConfig.model_validate({**settings, "start_from": str(bundle)})


def test_the_first_weights_are_the_bundles(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "one")
    trainer = Trainer(
        settings := fine_tuning(bundle.path), prepared(settings), tmp_path / "run", ListeningMonitor(tmp_path)
    )
    trainer.resume()
    kept = bundle.model.state_dict()
    assert all(torch.equal(tensor, kept[name]) for name, tensor in trainer.model.state_dict().items())


def test_without_a_bundle_the_first_weights_are_others(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "one")
    settings = config()
    trainer = Trainer(settings, prepared(settings), tmp_path / "run", ListeningMonitor(tmp_path))
    trainer.resume()
    ours, kept = trainer.model.output.weight, bundle.model.output.weight
    assert ours.shape != kept.shape or not torch.equal(ours, kept)


def test_the_vocabulary_is_the_bundles(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "one")
    for name in ("train.tsv", "dev.tsv"):
        lines = (f"{pair.source}\t{pair.target}\n" for pair in pairs(12))
        (tmp_path / name).write_text("".join(lines), encoding="utf-8")
    data = prepare(fine_tuning(bundle.path), tmp_path, tmp_path / "run", lambda line: None)
    assert data.tokenizer.files() == load_bundle(bundle.path).tokenizer.files()


def test_another_shape_is_refused_by_name(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "one")
    settings = fine_tuning(bundle.path, encoder_ffn_dim=tiny_config().encoder_ffn_dim + 8)
    trainer = Trainer(settings, prepared(settings), tmp_path / "run", ListeningMonitor(tmp_path))
    with pytest.raises(RecipeError, match="encoder_ffn_dim must be"):
        trainer.resume()


def test_another_dropout_is_no_other_shape(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "one")
    settings = fine_tuning(bundle.path, dropout=0.3)
    Trainer(settings, prepared(settings), tmp_path / "run", ListeningMonitor(tmp_path)).resume()


def test_a_folder_that_is_no_bundle_is_refused_by_name(tmp_path: Path) -> None:
    settings = fine_tuning(tmp_path / "nowhere")
    trainer = Trainer(settings, prepared(settings), tmp_path / "run", ListeningMonitor(tmp_path))
    with pytest.raises(BundleError, match="nowhere"):
        trainer.resume()


def test_a_tokenizer_section_beside_it_is_refused() -> None:
    with pytest.raises(ValueError, match="tokenizer must be left out with start_from"):
        config(start_from="runs/one/bundle")


def test_what_is_published_of_it_names_no_folder_of_one_machine(tmp_path: Path) -> None:
    assert published(fine_tuning(tmp_path / "one"))["start_from"] == "one"


def test_its_settings_make_the_same_run_again(tmp_path: Path) -> None:
    settings = fine_tuning(tmp_path / "one")
    assert check_recipe(settings.to_dict()) == settings


def test_a_saved_run_no_longer_needs_the_bundle_it_started_from(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "one")
    for name in ("train.tsv", "dev.tsv"):
        lines = (f"{pair.source}\t{pair.target}\n" for pair in pairs(12))
        (tmp_path / name).write_text("".join(lines), encoding="utf-8")
    settings = fine_tuning(bundle.path, dropout=0.2).model_copy(update={"max_steps": 2})
    assert not train(settings.model_copy(update={"max_seconds": 1e-6}), tmp_path, tmp_path / "run")
    shutil.rmtree(bundle.path)
    assert train(settings, tmp_path, tmp_path / "run")
