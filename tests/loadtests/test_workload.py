"""Workloads are the same for the same seed, have the lengths of real text, and say when a file is no use."""

from __future__ import annotations

import gzip
from pathlib import Path
from statistics import median

import pytest

from loadtests.workload import FEWEST_WORDS, MOST_WORDS, WorkloadError, made_up, read_sentences, workload


def test_a_seed_gives_the_same_sentences_and_another_seed_others() -> None:
    assert made_up(50, seed=3) == made_up(50, seed=3)
    assert made_up(50, seed=3).sentences != made_up(50, seed=4).sentences


def test_more_sentences_begin_with_the_same_ones() -> None:
    assert made_up(80).sentences[:30] == made_up(30).sentences


def test_lengths_are_mixed_as_in_real_text() -> None:
    lengths = sorted(len(sentence.split()) for sentence in made_up(3000).sentences)
    assert FEWEST_WORDS <= lengths[0] <= 3
    assert 8 <= median(lengths) <= 10
    assert lengths[len(lengths) * 9 // 10] >= 15
    assert 40 <= lengths[-1] <= MOST_WORDS


def test_sentences_are_written_as_sentences() -> None:
    for sentence in made_up(500).sentences:
        assert sentence[0].isupper()
        assert sentence[-1] in ".!?"
        assert "  " not in sentence


@pytest.mark.parametrize("name", ["pairs.tsv", "pairs.tsv.gz"])
def test_a_file_gives_its_first_column_and_the_references_beside(tmp_path: Path, name: str) -> None:
    content = "".join(f'Line "{i}\tZeile {i}\n' for i in range(20)).encode()
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    found = read_sentences(path, 12, seed=1)
    numbers = [sentence.removeprefix('Line "') for sentence in found.sentences]
    assert len(set(numbers)) == 12
    assert found.references == tuple(f"Zeile {number}" for number in numbers)
    assert found == read_sentences(path, 12, seed=1)
    assert workload(path, 12, seed=2).sentences != found.sentences


def test_a_file_without_references_has_none_and_empty_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("One.\n\n  \nTwo.\n")
    found = read_sentences(path, 2)
    assert (sorted(found.sentences), found.references) == (["One.", "Two."], ())


def test_a_file_with_too_few_sentences_or_none_at_all_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("One.\n")
    with pytest.raises(WorkloadError, match=r"lines\.txt has 1 sentences, 2 were asked for"):
        read_sentences(path, 2)
    with pytest.raises(WorkloadError, match=r"gone\.txt"):
        read_sentences(tmp_path / "gone.txt", 1)
