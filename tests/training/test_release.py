"""The bundle at the end of a run: averaged, scored as stored, with a card that says where it comes from."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from model.checkpoint import load_bundle, verify_bundle
from tests.training.runs import ListeningMonitor, config, trainer
from training.config import load_recipe
from training.errors import ResumeError, TrainingDiverged
from training.evaluation import score, translate_sentences
from training.release import averaged_model, published, release
from training.snapshots import average_snapshots, save_snapshot, snapshot_paths
from training.trainer import Trainer

CARD = {"summary": "For tests only.", "data": ["made-up words: 40 pairs, CC0, nobody"]}


def finished(folder: Path, **sections: Any) -> Trainer:
    checkpoint = {"interval_steps": 3, "keep": 4, "average": 2}
    run = trainer(folder, **{"checkpoint": checkpoint, "card": CARD, **sections})
    assert run.run()
    return run


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trainer, Path]:
    run = finished(tmp_path_factory.mktemp("run"))
    return run, release(run, run.monitor)


def test_the_bundle_loads_with_what_the_recipe_said(released: tuple[Trainer, Path]) -> None:
    run, folder = released
    bundle = load_bundle(folder)
    assert folder == run.folder / "bundle"
    assert (bundle.info.name, bundle.info.version) == ("tiny", "1")
    assert bundle.info.directions == (("en", "de"),)
    assert bundle.info.decoding == run.config.decoding_options()
    assert bundle.config == run.data.network
    assert bundle.tokenizer.files() == run.data.tokenizer.files()
    assert {"training.yaml", "curves.png", "MODEL_CARD.md"} <= set(verify_bundle(folder))


def test_the_bundle_holds_the_mean_of_the_last_snapshots(released: tuple[Trainer, Path]) -> None:
    run, folder = released
    paths = snapshot_paths(run.snapshot_folder)
    assert [path.stem for path in paths] == [f"step-{step:08d}" for step in (3, 6, 9, 12)]
    mean = average_snapshots(paths[-2:])
    for name, parameter in load_bundle(folder).model.named_parameters():
        assert torch.equal(parameter, mean[name].half().float()), name


def test_the_scores_of_the_card_are_those_of_the_bundle(released: tuple[Trainer, Path]) -> None:
    run, folder = released
    bundle, card = load_bundle(folder), (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    for text in run.data.held_out:
        sources = [pair.source for pair in text.pairs]
        found = translate_sentences(bundle.model, bundle.tokenizer, sources, bundle.info.decoding)
        scores = score(found, [pair.target for pair in text.pairs])
        assert f"| {text.name} | {len(sources)} | {scores.bleu:.2f} | {scores.chrf:.2f} |" in card
        assert f"BLEU: `{scores.bleu_signature}`" in card
        assert f"chrF: `{scores.chrf_signature}`" in card


def test_the_card_says_what_a_user_must_know(released: tuple[Trainer, Path]) -> None:
    run, folder = released
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    wanted = [
        "# tiny 1: en to de",
        "For tests only.",
        "(curves.png)",
        "- made-up words: 40 pairs, CC0, nobody",
        "Cleaning: 40 pairs read, 40 kept.",
        f"{run.model.num_parameters():,} parameters",
        f"- 12 steps, {run.progress.epoch} full epochs, {run.progress.target_tokens:,} target tokens, ",
        "on cpu in float32",
        "the mean of the last 2 snapshots, taken every 3 steps",
        "Decoding: strategy greedy, min_length 0, max_length 12.\n",
        "verto train training.yaml",
    ]
    assert [text for text in wanted if text not in card] == []


def test_the_recipe_in_the_bundle_repeats_the_run(released: tuple[Trainer, Path]) -> None:
    run, folder = released
    assert load_recipe(folder / "training.yaml") == run.config


def test_releasing_again_replaces_the_bundle(tmp_path: Path) -> None:
    run = finished(tmp_path, max_steps=6)
    first = load_bundle(release(run, run.monitor)).manifest_digest
    longer = finished(tmp_path, max_steps=12, version="2")
    second = load_bundle(release(longer, longer.monitor))
    assert second.info.version == "2"
    assert second.manifest_digest != first
    assert [path.name for path in tmp_path.iterdir() if "bundle" in path.name] == ["bundle"]


def test_the_weights_of_the_run_are_left_as_they_are(tmp_path: Path) -> None:
    run = finished(tmp_path)
    before = {name: tensor.clone() for name, tensor in run.model.state_dict().items()}
    release(run, run.monitor)
    assert all(torch.equal(before[name], tensor) for name, tensor in run.model.state_dict().items())
    assert run.model.training


def test_an_averaged_model_keeps_what_is_shared_shared(tmp_path: Path) -> None:
    run = trainer(tmp_path)
    save_snapshot(run.snapshot_folder, 1, run.model)
    model = averaged_model(run.model, snapshot_paths(run.snapshot_folder))
    assert model.output.weight is model.source_embedding.tokens.weight
    assert not model.training


@pytest.mark.parametrize("value", [1e6, -1e6])
def test_a_weight_that_a_bundle_cannot_hold_is_named(tmp_path: Path, value: float) -> None:
    run = trainer(tmp_path)
    name, parameter = next(iter(run.model.named_parameters()))
    with torch.no_grad():
        parameter[0] = value
    save_snapshot(run.snapshot_folder, 1, run.model)
    fault = rf"weight {re.escape(name)} must be at most 65504 to be stored .*, got 1e\+06; no bundle"
    with pytest.raises(TrainingDiverged, match=fault):
        release(run, ListeningMonitor())
    assert not (tmp_path / "bundle").exists()


def test_without_a_snapshot_there_is_no_bundle(tmp_path: Path) -> None:
    run = trainer(tmp_path)
    with pytest.raises(ResumeError, match="no weight snapshot"):
        release(run, ListeningMonitor())
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize("folder", ["/home/you/corpora/", "~/corpora/", "../corpora/", "a/../../b/"])
def test_a_published_recipe_names_no_folder_of_the_machine(folder: str) -> None:
    settings = config(
        data={
            "train": [{"tsv": f"{folder}train.tsv"}, {"source": f"{folder}a.en", "target": f"{folder}a.de"}],
            "dev": [{"tsv": f"{folder}dev.tsv"}],
        },
        test=[{"tsv": f"{folder}test.tsv", "name": "test"}],
    )
    text = str(published(settings))
    assert folder not in text
    assert all(name in text for name in ("'train.tsv'", "'a.en'", "'a.de'", "'dev.tsv'", "'test.tsv'"))


def test_paths_below_the_data_folder_are_published_whole() -> None:
    settings = config(data={"train": [{"tsv": "tatoeba/train.tsv.gz"}]})
    assert published(settings)["data"]["train"][0]["tsv"] == "tatoeba/train.tsv.gz"
