"""The measurement of memory: made-up corpora, both ways of holding them, a report."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.data_memory import Measured, figures, measure, picture, write_corpus


def test_made_up_corpora_are_whole_and_the_same_each_time(tmp_path: Path) -> None:
    for name in ("a.tsv", "b.tsv"):
        write_corpus(tmp_path / name, 120)
    assert (tmp_path / "a.tsv").read_bytes() == (tmp_path / "b.tsv").read_bytes()
    lines = (tmp_path / "a.tsv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 120
    source, target = lines[7].split("\t")
    assert source.split() == target.split()[::-1]


def test_both_ways_are_measured_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadtests.data_memory.VOCABULARY", 600)
    write_corpus(tmp_path / "some.tsv", 400)
    found = [measure(way, tmp_path / "some.tsv", tmp_path / "run", 400) for way in ("mapped files", "lists")]
    assert [set(one.seconds) for one in found] == [
        {"reading", "cleaning", "tokenizer", "encoding", "epoch plan", "batches"},
        {"reading", "cleaning", "encoding", "epoch plan", "batches"},
    ]
    assert all(one.folder_bytes > 0 and "batches" in one.peaks for one in found)
    assert [row[:2] for row in figures(found).rows] == [["mapped files", "400"], ["lists", "400"]]


def test_the_picture_shows_both_ways() -> None:
    found = [
        Measured(way, pairs, 1.0, {"batches": pairs / 10})
        for way in ("mapped files", "lists")
        for pairs in (10, 100)
    ]
    assert picture(found).startswith(b"\x89PNG")
