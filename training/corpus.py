"""Sentence pairs from files, as they stand.

Knows: TSV and two-file corpora (plain or gzipped), how white space is tidied. Must not know: which pairs are
worth learning from (cleaning.py), tokens, batches.
"""

from __future__ import annotations

import codecs
import gzip
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any, NamedTuple

from training.data_config import ParallelText
from training.errors import CorpusError

# How a file begins that is no UTF-8, and what to do with it.
_BEGINNINGS = {
    codecs.BOM_UTF16_LE: "is UTF-16; UTF-8 is needed",
    codecs.BOM_UTF16_BE: "is UTF-16; UTF-8 is needed",
    b"\x1f\x8b": "is gzipped; its name must end in .gz",
    b"\xfd7zXZ": "is compressed by xz; plain text or gzip is read",
    b"(\xb5/\xfd": "is compressed by zstd; plain text or gzip is read",
    b"BZh": "is compressed by bzip2; plain text or gzip is read",
    b"PK\x03\x04": "is a zip archive; plain text or gzip is read",
}


class Pair(NamedTuple):
    source: str
    target: str


def read_pairs(corpus: ParallelText, data_folder: Path) -> Iterator[Pair]:
    """Every pair of one corpus, as it stands. Raises `CorpusError` naming file and line."""
    paths = [data_folder / path for path in corpus.paths()]
    return _read_tsv(paths[0], corpus.columns) if corpus.tsv is not None else _read_two_files(*paths)


def _read_tsv(path: Path, columns: tuple[int, int]) -> Iterator[Pair]:
    source, target = columns
    for number, line in enumerate(read_lines(path), 1):
        cells = line.split("\t")
        if max(columns) >= len(cells):
            wanted = f"column {max(columns)} (counted from 0) is asked for"
            raise CorpusError(f"{path}: line {number} has {len(cells)} columns, {wanted}")
        yield Pair(cells[source], cells[target])


def _read_two_files(source: Path, target: Path) -> Iterator[Pair]:
    for number, (left, right) in enumerate(zip_longest(read_lines(source), read_lines(target)), 1):
        if left is None or right is None:
            shorter, longer = (source, target) if left is None else (target, source)
            raise CorpusError(f"{shorter}: ends after line {number - 1}, {longer} goes on")
        yield Pair(left, right)


def read_lines(path: Path) -> Iterator[str]:
    """Lines of a UTF-8 text without their ends, gzipped when the name ends in `.gz`. Raises `CorpusError`."""
    opener: Callable[..., IO[Any]] = gzip.open if path.suffix == ".gz" else open
    try:
        # A byte order mark, which some editors write, is not text. Only \n ends a line, or sides would slip.
        with opener(path, "rt", encoding="utf-8-sig", newline="\n") as lines:
            for number, line in enumerate(lines, 1):
                if "\0" in line:  # as UTF-16 has everywhere; SentencePiece would see the text end there
                    raise CorpusError(
                        f"{path}: line {number}: NUL does not belong in a text; UTF-8 is needed"
                    )
                yield line.rstrip("\r\n")
    except UnicodeDecodeError as error:
        fault = _place_of_fault(path, opener) or f"not UTF-8 ({error.reason})"
        raise CorpusError(f"{path}: {fault}") from error
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise CorpusError(f"{path}: {reason}") from error


def _place_of_fault(path: Path, opener: Callable[..., IO[Any]]) -> str | None:
    """What of a file is not UTF-8. It is read again for that, so that good files are read fast.

    None for what is no regular file: a pipe can be read only once.
    """
    if not path.is_file():
        return None
    with suppress(OSError, EOFError, zlib.error), opener(path, "rb") as lines:  # there is a fault to tell
        for number, line in enumerate(lines, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                told = [said for bytes_, said in _BEGINNINGS.items() if line.startswith(bytes_)]
                if number == 1 and told:
                    return told[0]
                return f"line {number}, byte {error.start + 1} (0x{line[error.start]:02x}): not UTF-8"
    return None


def tidy(text: str) -> str:
    """Unicode NFC, white space collapsed to single spaces."""
    return " ".join(unicodedata.normalize("NFC", text).split())
