"""What commands print: nothing of a table is cut, whoever reads it; a reader that goes away is code 141."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table

from cli.tables import print_table
from tests.builders import tiny_bundle
from tests.server_process import ROOT

NAME, VALUE = "a_name_of_31_letters_and_no_gap", "/a/path/" + "of/many/folders/" * 20


def cells(printed: str) -> list[str]:
    """The columns of the only row, put together where they were folded."""
    rows = [line.split("│")[1:-1] for line in printed.splitlines() if line.startswith("│")]
    return ["".join(part.strip() for part in column) for column in zip(*rows, strict=True)]


def shown() -> None:
    table = Table("name", "value")
    table.add_row(NAME, VALUE)
    print_table(table)


def test_a_pipe_gets_whole_rows(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    shown()
    printed = capsys.readouterr().out
    assert cells(printed) == [NAME, VALUE]
    assert len([line for line in printed.splitlines() if line.startswith("│")]) == 1


def test_a_name_in_brackets_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("name", "value")
    table.add_row("runs/[bold]new", "[/b] :smile:")
    print_table(table)
    assert cells(capsys.readouterr().out) == ["runs/[bold]new", "[/b] :smile:"]


def test_a_narrow_terminal_folds(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal, for rich
    shown()
    printed = capsys.readouterr().out
    assert cells(printed) == [NAME, VALUE]
    assert {len(line) for line in printed.splitlines()} == {40}


@pytest.mark.parametrize(
    "command",
    [
        ("models", "--models-dir", "{folder}"),
        ("serve", "--show-settings", "--models-dir", "{folder}"),
        ("train", "training/recipes/toy.yaml", "--show-settings"),
        ("data", "split", "{folder}/texts", "{folder}/texts", "{folder}/corpus", "--dev", "1", "--test", "1"),
    ],
    ids=lambda words: words[0],
)
def test_what_nobody_reads_ends_without_a_word(command: tuple[str, ...], tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "tiny")
    (tmp_path / "texts").write_text("".join(f"{number} houses\n" for number in range(9)), encoding="utf-8")
    end, pipe = os.pipe()
    os.close(end)
    verto = [sys.executable, "-c", "from cli.main import main; main()"]
    words = [*verto, *(word.format(folder=tmp_path) for word in command)]
    ended = subprocess.run(words, cwd=ROOT, stdout=pipe, stderr=subprocess.PIPE, timeout=180, check=False)
    os.close(pipe)
    assert (ended.returncode, ended.stderr.strip()) == (141, b"")
