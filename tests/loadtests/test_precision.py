"""Answers in each precision are held against those in float32."""

from __future__ import annotations

from pathlib import Path

from loadtests.precision import PRECISIONS, compared, figures, outcomes, variants
from loadtests.subject import subject
from loadtests.workload import Workload
from tests.builders import tiny_bundle

SENTENCES = ("Bade fi go.", "Hukale.", "Pu sä tö wü ba de.")


def test_every_precision_is_held_against_float32(tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "tiny")
    what = subject(tmp_path / "tiny", Workload("three", SENTENCES, SENTENCES), 1)
    counted: list[int] = []
    networks = variants(what.bundle.model, 1, None)
    lines = compared(what, outcomes(what, networks, counted.append))
    assert [line["precision"] for line in lines] == [*PRECISIONS] * 2
    assert sum(counted) == len(lines) * len(SENTENCES)
    exact = [line for line in lines if line["precision"] == "float32"]
    assert [(one["equal_sentences_share"], one["bleu_difference"]) for one in exact] == [(1.0, 0.0)] * 2
    assert len(figures(lines).rows) == 6
