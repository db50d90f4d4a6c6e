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


def read_parallel(
    sources: LineFile, references: LineFile, limit: int | None, further: Sequence[LineFile] = ()
) -> TestSet:
    """The first `limit` lines of all. Raises LineFileError when one file has more lines than another."""
    files = (sources, references, *further)
    return _collect(tuple(file.name for file in files), islice(side_by_side(files), limit))


def read_references(references: Sequence[LineFile], limit: int | None) -> TestSet:
    """The same where nobody knows the sentences: the first of the references stands for them."""
    found = read_parallel(references[0], references[0], limit, references[1:])
    return replace(found, names=found.names[1:], has_sources=False)


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


def _collect(names: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> TestSet:
    """Of rows of a sentence and its references."""
    from training.test_set import TestSet

    columns = list(zip(*rows, strict=True))
    if not columns:
        raise LineFileError(names[0], "has no lines")
    sources, references, *further = map(list, columns)
    return TestSet(names, sources, references, names[0], further)


def _columns(file: LineFile, columns: tuple[int, int]) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(file.unmarked_lines(), 1):
        fields = line.removesuffix("\r").split("\t")
        if len(fields) < max(columns):
            fault = f"line {number}: {len(fields)} columns, column {max(columns)} is needed"
            raise LineFileError(file.name, fault)
        yield fields[columns[0] - 1], fields[columns[1] - 1]


def side_by_side(files: Sequence[LineFile]) -> Iterator[tuple[str, ...]]:
    """A line of each, without a `\r` at its end. Raises LineFileError where one has fewer."""
    for number, lines in enumerate(zip_longest(*(file.unmarked_lines() for file in files)), 1):
        for file, line in zip(files, lines, strict=True):
            if line is None:
                raise LineFileError(file.name, f"ends before line {number}, the other file does not")
        yield tuple(line.removesuffix("\r") for line in lines)
