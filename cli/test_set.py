"""Sentences and their reference translations, from TSV files and from pairs of files line by line.

Knows lines, columns and how several files are called; must not know models or scores. What it
reads into is training's, which a server does not have: that is imported when something is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from cli.line_files import LineFile, LineFileError

if TYPE_CHECKING:
    from training.test_set import TestSet


def read_tsv(file: LineFile, columns: tuple[int, int], limit: int | None) -> TestSet:
    """The first `limit` lines (None: all); `columns` of source and reference count from 1.

    Raises LineFileError naming the line that has too few columns, and whatever reading raises.
    """
    return _collect((file.name,), islice(_columns(file, columns), limit))


def read_parallel(sources: LineFile, references: LineFile, limit: int | None) -> TestSet:
    """The first `limit` lines of both. Raises LineFileError when one file has more lines than the other."""
    return _collect((sources.name, references.name), islice(_pairs(sources, references), limit))


def labelled(test_sets: Sequence[TestSet]) -> list[TestSet]:
    """The same, labelled by their first file, as `news/test` for `data/news/test.tsv.gz`; behind a number
    where two would be called alike."""
    labels = [_label(Path(one.names[0])) for one in test_sets]
    if len(set(labels)) < len(labels):
        labels = [f"{number}-{label}" for number, label in enumerate(labels, 1)]
    return [replace(one, label=label) for one, label in zip(test_sets, labels, strict=True)]


def _label(path: Path) -> str:
    name = path.name.partition(".")[0] or path.name
    return f"{path.parent.name}/{name}" if path.parent.name not in ("", "..") else name


def _collect(names: tuple[str, ...], pairs: Iterator[tuple[str, str]]) -> TestSet:
    from training.test_set import TestSet

    both = list(pairs)
    if not both:
        raise LineFileError(names[0], "has no lines")
    sources, references = ([pair[side] for pair in both] for side in (0, 1))
    return TestSet(names, sources, references, label=names[0])


def _columns(file: LineFile, columns: tuple[int, int]) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(file.unmarked_lines(), 1):
        fields = line.removesuffix("\r").split("\t")
        if len(fields) < max(columns):
            fault = f"line {number}: {len(fields)} columns, column {max(columns)} is needed"
            raise LineFileError(file.name, fault)
        yield fields[columns[0] - 1], fields[columns[1] - 1]


def _pairs(sources: LineFile, references: LineFile) -> Iterator[tuple[str, str]]:
    for number, (source, reference) in enumerate(
        zip_longest(sources.unmarked_lines(), references.unmarked_lines()), 1
    ):
        if source is None or reference is None:
            short = sources if source is None else references
            raise LineFileError(short.name, f"ends before line {number}, the other file does not")
        yield source.removesuffix("\r"), reference.removesuffix("\r")
