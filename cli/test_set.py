"""Sentences and their reference translations, from a TSV file or from two files line by line.

Knows lines and columns; must not know models or scores.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, zip_longest

from cli.line_files import LineFile, LineFileError


@dataclass(frozen=True, slots=True)
class TestSet:
    """`references[i]` translates `sources[i]`; there is at least one. `names` say where they came from."""

    names: tuple[str, ...]
    sources: list[str]
    references: list[str]

    __test__ = False  # pytest takes the name for a test's


def read_tsv(file: LineFile, columns: tuple[int, int], limit: int | None) -> TestSet:
    """The first `limit` lines (None: all); `columns` of source and reference count from 1.

    Raises LineFileError naming the line that has too few columns, and whatever reading raises.
    """
    return _collect((file.name,), islice(_columns(file, columns), limit))


def read_parallel(sources: LineFile, references: LineFile, limit: int | None) -> TestSet:
    """The first `limit` lines of both. Raises LineFileError when one file has more lines than the other."""
    return _collect((sources.name, references.name), islice(_pairs(sources, references), limit))


def _collect(names: tuple[str, ...], pairs: Iterator[tuple[str, str]]) -> TestSet:
    both = list(pairs)
    if not both:
        raise LineFileError(names[0], "has no lines")
    return TestSet(names, [source for source, _ in both], [reference for _, reference in both])


def _columns(file: LineFile, columns: tuple[int, int]) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(file.lines(), 1):
        fields = line.removesuffix("\r").split("\t")
        if len(fields) < max(columns):
            fault = f"line {number}: {len(fields)} columns, column {max(columns)} is needed"
            raise LineFileError(file.name, fault)
        yield fields[columns[0] - 1], fields[columns[1] - 1]


def _pairs(sources: LineFile, references: LineFile) -> Iterator[tuple[str, str]]:
    for number, (source, reference) in enumerate(zip_longest(sources.lines(), references.lines()), 1):
        if source is None or reference is None:
            short = sources if source is None else references
            raise LineFileError(short.name, f"ends before line {number}, the other file does not")
        yield source.removesuffix("\r"), reference.removesuffix("\r")
