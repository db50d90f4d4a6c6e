"""docs/data.md: its recipes hold and its commands work."""

import gzip
import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml

from tests.builders import tiny_bundle, tiny_info, tiny_sentences
from tests.cli.conftest import Ended, Verto
from tests.contracts.project import ROOT
from training.config import load_recipe
from training.data_config import CorpusFile
from training.sources.config import Sources

PAGE = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
FORMATS = {"tsv", "lines", "gettext", "woz", "bcontrast", "squad", "ding"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def test_the_sources_of_the_page_hold() -> None:
    sources = Sources.model_validate(yaml.safe_load(blocks("yaml")[0]))
    assert list(sources.corpora) == ["tatoeba-en-de", "mine-en-de"]


def test_the_tagged_file_of_the_page_is_the_one_that_its_command_writes() -> None:
    files = [CorpusFile.model_validate(one) for one in yaml.safe_load(blocks("yaml")[1])["train"]]
    assert files[1].tag == "<BT>"
    assert f"--output corpora/{files[1].tsv}" in PAGE


def test_every_format_is_named() -> None:
    assert {one for one in FORMATS if f"`{one}`" not in PAGE} == set()


@pytest.fixture
def work_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the page says is there: the recipes, corpora that were put there by hand, texts, a teacher."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "training" / "recipes", "training/recipes")
    sources = load_recipe(Path("training/recipes/en-de.yaml")).sources
    assert sources is not None
    for name, corpus in sources.corpora.items():
        folder = Path("corpora") / name
        folder.mkdir(parents=True)
        for one in corpus.file_names():
            (folder / corpus.file(one)).write_bytes(gzip.compress(b"one\teins\n"))
    lines = [*tiny_sentences(4)]
    for file in ("news.de.gz", "train.en.gz"):
        Path(file).write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))
    Path("train.tsv.gz").write_bytes(gzip.compress("".join(f"{line}\tBa.\n" for line in lines).encode()))
    directions = (("en", "de"), ("de", "en"))
    tiny_bundle(tmp_path / "runs" / "teacher" / "bundle", info=tiny_info(directions=directions))
    return tmp_path


def test_the_commands_of_the_page_work_one_after_the_other(
    work_folder: Path, verto: Verto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.run.train", lambda *given: True)
    ended: dict[str, Ended] = {}
    for line in (line for block in blocks("bash") for line in block.splitlines()):
        words = shlex.split(line)[1:]
        ended[words[0] if words[0] == "train" else words[1]] = one = verto(*words)
        assert one.code == 0, f"{line}\n{one.err}"
    assert list(ended) == ["train", "prepare", "back-translate", "distill"]
    assert "corpora/tatoeba-en-de" in ended["prepare"].text
    assert Path("corpora/back.tsv.gz").exists()
    assert Path("corpora/nearest.tsv.gz").exists()
