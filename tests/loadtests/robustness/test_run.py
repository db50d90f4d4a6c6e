"""A bundle is asked for every case, and the report says what became of each kind."""

from __future__ import annotations

import json
from pathlib import Path

from typer import Typer
from typer.testing import CliRunner

from loadtests.robustness.__main__ import main
from model.decoding import DecodingOptions
from tests.builders import tiny_bundle, tiny_info

app = Typer()
app.command()(main)


def test_the_report_has_every_case_with_its_answer(tmp_path: Path) -> None:
    bundle, results = tmp_path / "tiny", tmp_path / "results"
    short = DecodingOptions(strategy="greedy", max_length=12)
    tiny_bundle(bundle, seed=1, placeholders=6, info=tiny_info(decoding=short))
    done = CliRunner().invoke(
        app, ["--bundle", str(bundle), "--count", "24", "--results", str(results)], catch_exceptions=False
    )
    assert done.exit_code == 0
    data = json.loads((results / "robustness-en-de.json").read_text(encoding="utf-8"))
    assert len(data["copies"]) == 24
    page = (results / "robustness-en-de.md").read_text(encoding="utf-8")
    assert "| all | 24 |" in page
    assert "| capitals | 11 |" in page
