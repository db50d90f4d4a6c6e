"""The comparison's parts on tiny networks: what is measured is what is said, and the report holds it all."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from loadtests.why_transformers import __main__ as command
from loadtests.why_transformers import gradients, speed, training_runs
from loadtests.why_transformers.lengths import by_length
from loadtests.why_transformers.report import report
from loadtests.why_transformers.shapes import RECURRENT, TRANSFORMER, shapes
from loadtests.why_transformers.training_runs import trained
from loadtests.why_transformers.variants import (
    BY_LENGTH,
    CAPTIONS,
    LONG,
    SHORT,
    TASKS,
    TOY,
    Task,
    Variant,
    ablations,
    gru,
)
from tests.contracts.project import ROOT
from training.baselines.config import GruBaseline
from training.corpus import Pair
from training.errors import TrainingDiverged

TINY = ("generate.train_pairs=200", "generate.held_out_pairs=5", "max_steps=4", "model.d_model=8")
SPEED = {"tokens_per_processor_second": 10.0, "tokens_per_second": 9.0}
QUICK = ("optimizer.final_decay_steps=1", "validation.interval_steps=2", "validation.num_sentences=2")


def networks() -> dict[str, nn.Module]:
    return shapes(d_model=16, hidden_size=12, vocab_size=40, longest=40)


def test_both_networks_are_timed_at_each_length_with_as_many_tokens() -> None:
    lines = speed.measure(networks(), (4, 8), 16, 1, 40, torch.device("cpu"))
    assert [(line["network"], line["length"], line["sentences"]) for line in lines] == [
        (TRANSFORMER, 4, 4), (RECURRENT, 4, 4), (TRANSFORMER, 8, 2), (RECURRENT, 8, 2),
    ]  # fmt: skip
    for line in lines:
        assert line["tokens_per_processor_second"] == pytest.approx(16 / line["processor_seconds"])


def test_the_gradient_is_that_of_the_first_source_token() -> None:
    table, ids = nn.Embedding(10, 4), torch.tensor([[5, 6], [7, 8]])

    def said() -> torch.Tensor:
        """3 times the first token's first number; of other tokens, and when asked again, more."""
        vectors = table(ids)
        return 3 * vectors[:, 0, 0].sum() + 100 * vectors[:, 1].sum() + 50 * table(ids).sum()

    assert gradients.at_first_token(table, table, said) == pytest.approx(3.0)
    assert table.weight.grad is None


def test_a_recurrent_encoders_gradient_shrinks_faster_with_the_distance() -> None:
    lines = gradients.measure(networks(), (1, 31), range(4, 40))
    norm = {(line["network"], line["distance"]): line["encoder"] for line in lines}
    shrunk = {name: norm[name, 31] / norm[name, 1] for name in (TRANSFORMER, RECURRENT)}
    assert shrunk[RECURRENT] < 0.01 * shrunk[TRANSFORMER]
    assert all(line["loss"] > 0 for line in lines)


def test_a_network_of_another_kind_has_no_gradient_to_tell() -> None:
    with pytest.raises(TypeError, match="not Linear"):
        gradients.measure({"line": nn.Linear(1, 1)}, (1,), (5, 6))


def test_each_sentence_counts_in_the_bucket_of_its_length() -> None:
    texts = ["a b c", "a b c d", "a b c d e f g", "a b c d e f g"]
    pairs = [Pair(text, text) for text in texts]
    lines = by_length(pairs, [*texts[:3], "x"], (3, 4, 6, 100))
    assert [(line["words"], line["sentences"], line["right_share"]) for line in lines] == [
        ([3, 4], 2, 1.0),
        ([7, 7], 2, 0.5),
    ]
    assert lines[0]["mean_words"] == 3.5
    assert lines[1]["bleu"] < 100


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_every_variant_is_a_recipe_that_holds(task: Task) -> None:
    for variant in ablations(task):
        config = variant.recipe(task, *task.settings, "seed=3")
        assert (config.name, config.seed) == (variant.name, 3)


def test_runs_of_two_tasks_do_not_share_a_folder() -> None:
    whole = ablations(TOY)[0]
    assert training_runs.run_name(TOY, whole, 1) == "whole-1"
    assert training_runs.run_name(CAPTIONS, whole, 1) == "captions-whole-1"


def test_both_networks_learn_the_same_long_sequences() -> None:
    transformer, recurrent = (variant.recipe(TOY, *LONG) for variant in BY_LENGTH)
    assert transformer.baseline is None
    assert isinstance(recurrent.baseline, GruBaseline)
    for part in ("generate", "data", "batch", "optimizer", "max_steps", "tokenizer"):
        assert getattr(transformer, part) == getattr(recurrent, part)


def test_a_variant_is_trained_scored_and_not_trained_again(tmp_path: Path) -> None:
    variant = Variant("gru", "a GRU", gru(32, 8, 8))
    found = [trained(variant, TOY, (*TINY, *QUICK), 1, tmp_path) for _ in range(2)]
    first, again = ({**one, "processor_seconds": None} for one in found)
    assert first == again
    assert first["outcome"] == "finished"
    assert first["step"] == 4
    assert [step for step, _ in first["dev_losses"]] == [2, 4]


def test_a_variant_that_diverges_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverge(*given: object) -> bool:
        raise TrainingDiverged("step 7: loss nan")

    monkeypatch.setattr(training_runs, "train", diverge)
    found = trained(ablations(TOY)[0], TOY, SHORT, 2, tmp_path)
    assert (found["outcome"], found["seed"]) == ("diverged: step 7: loss nan", 2)


def parts() -> dict[str, Any]:
    points = [{"words": [3, 5], "mean_words": 4.0, "sentences": 9, "bleu": 50.0, "right_share": 0.5}]
    ablation = {
        "task": "toy",
        "seed": 1,
        "parameters": 10,
        "bleu": 9.0,
        "right_share": 0.4,
        "dev_losses": [[5, 1.0]],
    }
    return {
        "speed": {
            "lines": [
                {"network": name, "length": length, "sentences": 4, **SPEED}
                for length in (4, 8)
                for name in (TRANSFORMER, RECURRENT)
            ],
            "batch_tokens": 16,
            "device": "cpu",
        },
        "gradients": {"lines": gradients.measure(networks(), (1, 3), range(4, 40))},
        "toy-long-gru": {"says": RECURRENT, "lengths": points},
        "toy-long-transformer": {"says": TRANSFORMER, "lengths": points},
        "captions-one": {"network": TRANSFORMER, "lengths": points},
        "ablation-gru-1": {"variant": "gru", "says": "a GRU", "outcome": "finished", **ablation},
        "ablation-whole-1": {"variant": "whole", "says": "whole", "outcome": "finished", **ablation},
        "ablation-captions-whole-1": {
            "variant": "whole",
            "says": "whole",
            "outcome": "finished",
            **ablation,
            "task": "captions",
        },
        "ablation-heads-1-1": {
            "variant": "heads-1",
            "says": "1",
            "outcome": "diverged: step 3",
            "seed": 1,
            "task": "toy",
        },
    }


def test_the_report_holds_every_part_and_the_transformer_first() -> None:
    made = report(parts(), {"date": "today"})
    titles = [table.title.partition(",")[0] for table in made.tables]
    assert titles == [
        "Training speed", "Norm of the gradient at the first source token", "By length: toy",
        "By length: captions", "Less a part: toy", "Less a part: captions",
    ]  # fmt: skip
    assert [row[0] for row in made.tables[-2].rows] == ["whole", "1", "a GRU"]
    assert made.tables[-2].rows[1][-1] == "diverged"
    assert [row[0] for row in made.tables[-1].rows] == ["whole"]
    assert made.tables[2].columns[2] == f"BLEU, {TRANSFORMER}"
    assert all(content.startswith(b"\x89PNG") for content in made.pictures.values())
    assert len(made.pictures) == 5


def test_nothing_measured_is_no_report() -> None:
    with pytest.raises(ValueError, match=r"begin with: python -m loadtests\.why_transformers speed"):
        report({}, {})


def test_the_command_keeps_each_part_for_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "DISTANCES", (1, 2))
    monkeypatch.setattr(command, "shapes", lambda *sizes: shapes(16, 12, 3000, 40))
    for words in (
        ["gradients", "--runs", str(tmp_path)],
        ["report", "--runs", str(tmp_path), "--output", str(tmp_path)],
    ):
        done = CliRunner().invoke(command.app, words)
        assert done.exit_code == 0, done.output
    kept = json.loads((tmp_path / "why-transformers.json").read_text())["parts"]["gradients"]["lines"]
    assert [line["distance"] for line in kept] == [1, 1, 2, 2]
    assert (tmp_path / "why-transformers-gradients.png").exists()


@pytest.mark.parametrize("words", [["--task", "captions"], ["--task", "news"]], ids=lambda words: words[1])
def test_a_task_without_its_texts_is_refused(words: list[str]) -> None:
    done = CliRunner().invoke(command.app, ["ablations", *words])
    assert done.exit_code == 2
    assert "toy, captions" in done.output


def test_the_pages_commands_are_those_that_there_are() -> None:
    page = (ROOT / "docs" / "why-transformers.md").read_text(encoding="utf-8")
    parts = re.findall(r"python -m loadtests\.why_transformers ([a-z]+)", page)
    assert {*parts} == {one.name for one in command.app.registered_commands}


@pytest.mark.parametrize(
    ("words", "fault"),
    [(["report"], "no part has been measured"), (["gradients", "--trained"], "holds no run")],
    ids=["report", "gradients"],
)
def test_what_has_not_been_made_yet_is_told_without_a_traceback(
    words: list[str], fault: str, tmp_path: Path
) -> None:
    done = CliRunner().invoke(command.app, [*words, "--runs", str(tmp_path)])
    assert done.exit_code == 2
    assert fault in " ".join(done.output.replace("│", " ").split())
