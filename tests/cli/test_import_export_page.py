"""Every command of docs/import-export.md runs as it stands there, and the files that the page names exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from model.checkpoint import load_bundle
from tests.builders import dictionary_tokenizer, tiny_bundle, tiny_tokenizer
from tests.cli.conftest import Verto
from tests.cli.small_hub import SmallHub, running
from tests.model.importers.random_marian import write_marian
from tests.model.peers import quiet

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "import-export.md").read_text(encoding="utf-8")


def commands(language: str, heading: str) -> list[list[str]]:
    """The words of every command in the blocks of one language below a heading."""
    part = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    blocks = re.findall(rf"^```{language}\n(.*?)^```", part, re.DOTALL | re.MULTILINE)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a small pre-norm bundle where the shipped one would be."""
    monkeypatch.chdir(tmp_path)
    tiny_bundle(tmp_path / "checkpoints" / "en-de", norm="pre", final_norm=True, tie_output=True)
    return tmp_path


def test_exports_are_read_by_the_peers_and_imported_again(desk: Path, verto: Verto) -> None:
    for program, *words in [*commands("sh", "Export"), *commands("sh", "Import")]:
        assert program == "verto"
        ended = verto(*words)
        assert ended.code == 0, ended.err
    assert sorted(path.name for path in (desk / "bundles").iterdir()) == ["again", "small"]
    text = "Badefi gohu."
    assert load_bundle(desk / "bundles" / "again").tokenizer.encode_source(text) == (
        tiny_tokenizer().encode_source(text)
    )


def test_ctranslate2s_converter_reads_the_export(
    desk: Path, verto: Verto, monkeypatch: pytest.MonkeyPatch
) -> None:
    verto(*commands("sh", "Export")[0][1:])
    ((program, *words),) = commands("sh-ct2", "Export")
    assert program == "ct2-transformers-converter"
    monkeypatch.setattr("sys.argv", [program, *words])
    with quiet():
        from ctranslate2.converters import transformers  # type: ignore[import-untyped]

        transformers.main()
    assert (desk / "exported" / "en-de-ct2" / "model.bin").is_file()


def test_names_of_the_hub_are_fetched(desk: Path, verto: Verto, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    write_marian(desk / "one")
    write_marian(desk / "many", tokenizer=dictionary_tokenizer(), settings={"target_lang": "roa"})
    models = {"Helsinki-NLP/opus-mt-en-de": desk / "one", "Helsinki-NLP/opus-mt-en-roa": desk / "many"}
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(desk / "cache"))
    with running(SmallHub(models)) as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
        template = hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        for _, *words in commands("sh-hub", "Import"):
            ended = verto(*words)
            assert ended.code == 0, ended.err
    directions = load_bundle(desk / "bundles" / "en-roa").info.directions
    assert list(directions) == [("en", "fra"), ("en", "oci")]


def test_every_file_that_the_page_names_exists() -> None:
    links = [name for name in re.findall(r"\]\(([^)#]+)\)", PAGE) if "://" not in name]
    named = re.findall(r"`(tests/[\w/]+\.py)`", PAGE)
    assert named
    missing = [name for name in links if not (ROOT / "docs" / name).exists()]
    assert missing + [name for name in named if not (ROOT / name).is_file()] == []
