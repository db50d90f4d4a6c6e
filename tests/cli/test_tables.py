"""Tables of commands: nothing of them is cut, whoever reads them; a reader that goes away is code 141."""

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


def test_a_narrow_terminal_folds(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal, for rich
    shown()
    printed = capsys.readouterr().out
    assert cells(printed) == [NAME, VALUE]
    assert {len(line) for line in printed.splitlines()} == {40}


@pytest.mark.parametrize("command", [("models",), ("serve", "--show-settings")], ids=lambda words: words[0])
def test_a_table_that_nobody_reads_ends_without_a_word(command: tuple[str, ...], tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "tiny")
    end, pipe = os.pipe()
    os.close(end)
    verto = [sys.executable, "-c", "from cli.main import main; main()"]
    words = [*verto, *command, "--models-dir", str(tmp_path)]
    ended = subprocess.run(words, cwd=ROOT, stdout=pipe, stderr=subprocess.PIPE, timeout=180, check=False)
    os.close(pipe)
    assert (ended.returncode, ended.stderr) == (141, b"")
