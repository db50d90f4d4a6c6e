"""A run's scores on its own test texts, beside what papers say."""

import json
from pathlib import Path

import pytest
import typer

from loadtests import multi30k
from loadtests.why_transformers.variants import TOY, Variant, gru
from training.run import train

SMALL = (
    "generate.train_pairs=200", "generate.held_out_pairs=5", "max_steps=2", "optimizer.final_decay_steps=1",
    "validation.num_sentences=2",
)  # fmt: skip


def test_a_folder_without_a_run_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match=r"nothing holds no run: .*config\.yaml"):
        multi30k.main(tmp_path / "nothing", tmp_path, tmp_path)


def test_a_run_is_scored_on_its_test_texts_beside_papers(tmp_path: Path) -> None:
    config = Variant("tiny", "tiny", (*gru(32, 8, 8), *SMALL)).recipe(TOY)
    assert train(config, tmp_path / "run", tmp_path / "run")
    multi30k.main(tmp_path / "run", tmp_path / "run" / "generated", tmp_path)
    found = json.loads((tmp_path / "multi30k.json").read_text())
    kept = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert [(line["test"], line["sentences"]) for line in found["scores"]] == [("test", 5)]
    assert abs(found["scores"][0]["chrf"] - kept["scores"]["test"]["chrf"]) < 5  # unrounded weights here
    assert found["step"] == 2
    assert found["recipe"]["name"] == "tiny"
    assert [paper["bleu"] for paper in found["papers"]] == [39.0, 41.02]
    assert found["scores"][0]["lower_case_bleu_signature"].startswith("nrefs:1|case:lc")
    assert "41.0" in (tmp_path / "multi30k.md").read_text()


def test_capitals_count_in_one_of_the_two_scores() -> None:
    found = multi30k.lower_case_bleu(["ein HUND läuft am strand"], ["Ein Hund läuft am Strand"])
    assert abs(found["lower_case_bleu"] - 100) < 1e-6
