"""docs/training.md: its recipe holds, its commands work, its tables are those of the classes."""

import io
import re
import shlex
import shutil
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from cli.main import main
from model.checkpoint import list_bundles
from model.config import ModelConfig
from model.decoding.options import DecodingOptions
from tests.builders import tiny_sentences
from tests.contracts.project import ROOT
from tests.training.settings_page import (
    DECODING_MEANINGS,
    MODEL_MEANINGS,
    settings_tables,
    with_tables,
)
from training.config import FROM_TOKENIZER, TrainingConfig, check_recipe, sections

PAGE = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
# The page's commands on texts of a few pairs: the same run, only smaller.
SMALLER = {
    "training/recipes/toy.yaml": {"generate.train_pairs": 300, "generate.held_out_pairs": 5},
    "my.yaml": {"tokenizer.vocab_size": 420, "model.d_model": 16},
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def test_the_tables_are_those_of_the_classes() -> None:
    assert with_tables(PAGE) == PAGE, "run: python -m tests.training.settings_page docs/training.md"


def test_every_setting_stands_in_a_table() -> None:
    classes = [TrainingConfig, *(section for _, section in sections())]
    fields_of = [field for one in classes for field in one.model_fields.items()]
    names = {name for name, field in fields_of if field.description}  # the others are sections
    names |= {field.name for field in fields(ModelConfig)} - set(FROM_TOKENIZER)
    names |= {field.name for field in fields(DecodingOptions)}
    assert [
        name for name in sorted(names - {"model", "decoding"}) if f"| `{name}` |" not in settings_tables()
    ] == []


def test_no_meaning_is_left_of_a_setting_that_is_gone() -> None:
    assert set(MODEL_MEANINGS) == {field.name for field in fields(ModelConfig)} - set(FROM_TOKENIZER)
    assert set(DECODING_MEANINGS) == {field.name for field in fields(DecodingOptions)}


def test_a_page_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="the page must hold"):
        with_tables("# Training\n")


def test_the_recipe_of_the_page_holds() -> None:
    (recipe,) = blocks("yaml")
    settings = check_recipe(yaml.safe_load(recipe))
    assert f"runs/{settings.name}/bundle" in PAGE
    assert settings.data.train[0].paths() == ["train.en", "train.de"]


@pytest.fixture
def work_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the page says is there: the toy recipe, a folder of texts, my.yaml."""
    monkeypatch.chdir(tmp_path)
    Path("training/recipes").mkdir(parents=True)
    shutil.copy(ROOT / "training" / "recipes" / "toy.yaml", "training/recipes")
    Path("my.yaml").write_text(blocks("yaml")[0], encoding="utf-8")
    Path("corpus").mkdir()
    texts = list(tiny_sentences(120))
    for language, sentences in (("en", texts), ("de", [text.upper() for text in texts])):
        Path(f"corpus/train.{language}").write_text("\n".join(sentences[:100]) + "\n", encoding="utf-8")
    for name in ("dev", "test"):
        lines = [f"{text}\t{text.upper()}\n" for text in texts[100:104]]
        Path(f"corpus/{name}.tsv").write_text("".join(lines), encoding="utf-8")
    return tmp_path


def run_line(line: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """`verto ...`, or `echo "text" | verto ...`, as the page has it; the exit code."""
    before, _, command = line.rpartition("| ")
    text = shlex.split(before)[1] + "\n" if before else ""
    arguments = shlex.split(command)
    if arguments[1] == "train":
        few = {"max_steps": 2, "optimizer.final_decay_steps": 1, "decoding.max_length": 8}
        smaller = {**few, **SMALLER[arguments[2]]}
        arguments += [f"--set={name}={value}" for name, value in smaller.items()]
    if arguments[1] == "serve":
        arguments.append("--show-settings")  # reads all options, then ends
    monkeypatch.setattr(sys, "argv", arguments)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.mark.slow
def test_the_commands_of_the_page_work_one_after_the_other(
    work_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    printed: dict[str, str] = {}
    for line in (line for block in blocks("bash") for line in block.splitlines()):
        code = run_line(line, monkeypatch)
        captured = capsys.readouterr()
        assert code == 0, f"{line}\n{captured.err}"
        printed[line] = captured.out
    assert [line.rpartition("| ")[2].split()[1] for line in printed] == [
        "train", "translate", "train", "evaluate", "translate", "serve",
    ]  # fmt: skip
    assert "BLEU" in next(out for line, out in printed.items() if "evaluate" in line)
    assert list_bundles(Path("runs/my-en-de")) == [Path("runs/my-en-de/bundle")]
