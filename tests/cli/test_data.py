"""`verto data`: what is printed, the exit code, and one clear line for each fault of the user's."""

import gzip
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.builders import tiny_sentences
from tests.cli.conftest import Verto
from tests.training.runs import recipe
from training.recipe_text import as_yaml

SOURCES: dict[str, Any] = {
    "files": {"texts.txt": {"path": "texts.txt"}},
    "corpora": {
        "mine": {
            "languages": ["en", "de"],
            "licence": "CC0",
            "attribution": "nobody",
            "train": [{"format": "tsv", "text": "texts.txt"}],
        }
    },
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts.txt").write_text("one\teins\ntwo\tzwei\n")
    (tmp_path / "r.yaml").write_text(as_yaml(recipe(sources=SOURCES)))
    return tmp_path


def test_prepare_makes_the_corpora_and_prints_their_folders(folder: Path, verto: Verto) -> None:
    ended = verto("data", "prepare", "r.yaml", "--data", "corpora")
    assert (ended.code, ended.text) == (0, "corpora/mine\n")
    assert ended.err == "mine/train: 2 pairs read, 2 kept (dropped: held out 0)\n"
    content = (folder / "corpora" / "mine" / "train.tsv.gz").read_bytes()
    assert sorted(gzip.decompress(content).decode().splitlines()) == ["one\teins", "two\tzwei"]
    assert (folder / "corpora" / "raw" / "texts.txt").exists()


def test_quietly_only_the_folders_are_printed(folder: Path, verto: Verto) -> None:
    ended = verto("data", "prepare", "r.yaml", "--raw", "elsewhere", "-q")
    assert (ended.text, ended.err) == ("data/mine\n", "")
    assert (folder / "elsewhere" / "texts.txt").exists()


def test_a_recipe_without_sources_is_refused(folder: Path, verto: Verto) -> None:
    (folder / "r.yaml").write_text(as_yaml(recipe()))
    ended = verto("data", "prepare", "r.yaml")
    assert (ended.code, ended.err) == (
        2,
        "verto: r.yaml: has no `sources`; docs/data.md shows how to write them\n",
    )


def test_a_fault_of_a_raw_file_is_one_line(folder: Path, verto: Verto) -> None:
    (folder / "texts.txt").write_text("no columns\n")
    ended = verto("data", "prepare", "r.yaml")
    assert ended.code == 2
    assert ended.err == "verto: texts.txt: line 1 has 1 columns, column 1 (counted from 0) is asked for\n"
    assert not (folder / "data" / "mine").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_split_that_is_stopped_leaves_no_file(
    number: signal.Signals, code: int, folder: Path, verto: Verto, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training import splitting

    def stopped(*arguments: Any) -> None:
        signal.raise_signal(number)

    monkeypatch.setattr(splitting, "_write_others", stopped)
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)  # or it might end the tests
    try:
        ended = verto("data", "split", "texts.txt", "texts.txt", "out", "--dev", "1", "--test", "1")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (ended.code, ended.err) == (code, "verto: stopped\n")
    assert list((folder / "out").iterdir()) == []


def test_the_commands_of_data_are_listed_with_a_line_each(verto: Verto) -> None:
    lines = verto("data", "--help").text.partition("Commands:")[2].strip().splitlines()
    assert [line.split()[0] for line in lines] == ["prepare", "split", "back-translate", "distill"]
    assert not any(line.endswith("...") for line in lines)


@pytest.mark.slow
def test_one_command_leads_from_raw_files_to_a_bundle(
    folder: Path, verto: Verto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VERTO_KERNELS", "eager")  # no compiler is needed for this
    texts = list(tiny_sentences(130))
    (folder / "texts.txt").write_text("".join(f"{text}\t{text.upper()}\n" for text in texts))
    corpora = {"mine": {**SOURCES["corpora"]["mine"], "held_out": {"dev": {"choose": 5, "min_words": 2}}}}
    settings = recipe(
        max_steps=2,
        data={"train": [{"tsv": "mine/train.tsv.gz"}], "dev": [{"tsv": "mine/dev.tsv.gz"}]},
        sources={**SOURCES, "corpora": corpora},
    )
    (folder / "r.yaml").write_text(as_yaml(settings))
    ended = verto("train", "r.yaml", "--fetch", "--set", "device=cpu")
    assert (ended.code, ended.text) == (0, "runs/tiny/bundle\n"), ended.err
    assert "mine/dev: 130 pairs read, 5 kept" in ended.err
    assert "sources:" in (folder / "runs/tiny/bundle/training.yaml").read_text()


def test_of_several_processes_none_fetches(
    folder: Path, verto: Verto, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "TORCHELASTIC_RUN_ID": "1",
        "RANK": "0",
        "WORLD_SIZE": "2",
        "LOCAL_RANK": "0",
    }.items():
        monkeypatch.setenv(name, value)
    ended = verto("train", "r.yaml", "--fetch")
    assert ended.code == 2
    assert "--fetch: needs one process; run `verto data prepare` first" in ended.err
    assert not (folder / "data").exists()
