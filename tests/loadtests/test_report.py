"""A report is whole on disk or not there, and says in JSON and Markdown what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtests.machine import run_facts, shown_command
from loadtests.report import Figures, Report, publish, write


def report(**changes: object) -> Report:
    fields: dict[str, object] = {
        "name": "speed",
        "title": "Speed",
        "facts": {"date": "today", "command": "python -m loadtests.speed"},
        "tables": [Figures("Numbers", ["users", "ms"], [["1", "20"], ["8", "30"]])],
        "data": {"numbers": [20, 30]},
    }
    return Report(**{**fields, **changes})  # type: ignore[arg-type]


def test_json_and_markdown_hold_facts_tables_and_numbers(tmp_path: Path) -> None:
    write(report(notes=["A note."], pictures={"speed.png": b"png"}), tmp_path)
    content = json.loads((tmp_path / "speed.json").read_text())
    assert content["facts"]["date"] == "today"
    assert content["numbers"] == [20, 30]
    text = (tmp_path / "speed.md").read_text()
    assert "# Speed\n\n- date: today\n" in text
    assert "A note." in text
    assert "## Numbers\n\n| users | ms |\n| --- | --- |\n| 1 | 20 |\n| 8 | 30 |\n" in text
    assert "![Speed](speed.png)" in text
    assert (tmp_path / "speed.png").read_bytes() == b"png"


def test_a_report_that_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    write(report(), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for fault in ({"data": {"numbers": object()}}, {"pictures": {"speed.png": "no bytes"}}):
        with pytest.raises(TypeError):
            write(report(title="Other", **fault), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_table_is_printed_last(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    publish(report(), tmp_path)
    said = capsys.readouterr().out
    assert said.index("Numbers") < said.index("speed.json")
    assert "│ 8     │ 30 │" in said


def test_a_command_is_shown_without_the_folders_of_one_machine() -> None:
    argv = ["some/where/loadtests/speed.py", "--sentences", "some/where/test.tsv.gz", "--url", "http://a:1/b"]
    assert shown_command(["some/where/loadtests/bench/__main__.py"]) == "python -m loadtests.bench"
    assert shown_command(argv) == "python -m loadtests.speed --sentences test.tsv.gz --url http://a:1/b"


def test_a_command_is_shown_as_a_shell_takes_it_and_without_a_key() -> None:
    assert shown_command(
        ["bin/verto", "loadtest", "run", "--bursts", "", "--serve-options", "--engine thread"]
    ) == ("verto loadtest run --bursts '' --serve-options '--engine thread'")
    for given in (["--header", "Authorization: Bearer a/key"], ["--header=Authorization: Bearer a/key"]):
        assert shown_command(["verto", "loadtest", "run", *given]) == "verto loadtest run --header ..."
    assert (
        shown_command(["verto", "loadtest", "run", "--like=a/b.json"]) == "verto loadtest run --like b.json"
    )


def test_every_run_says_where_and_when_it_was() -> None:
    facts = run_facts(3)
    assert {"date", "command", "commit", "machine", "torch", "python"} <= set(facts)
    assert facts["threads of the network"] == "3"
    assert all(facts.values())
