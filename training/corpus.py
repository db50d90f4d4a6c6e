"""Sentence pairs from files: read, cleaned, counted.

Knows: TSV and two-file corpora (plain or gzipped) and why a pair is dropped. Must not know: tokens, batches.
"""

from __future__ import annotations

import gzip
import hashlib
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from training.data_config import DataConfig, ParallelText
from training.errors import CorpusError

# Two short sides may differ by any factor ("OK" and "Einverstanden"); a longer one needs its counterpart.
RATIO_EXEMPT_CHARACTERS = 20


class Pair(NamedTuple):
    source: str
    target: str


@dataclass
class CleaningReport:
    """How many pairs were read and kept, and how many fell to each rule."""

    read: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    def describe(self) -> str:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(self.dropped.items()))
        return f"{self.read:,} pairs read, {self.kept:,} kept" + (f" (dropped: {reasons})" if reasons else "")


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
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        # A byte order mark, which some editors write, is not text. Only \n ends a line, or sides would slip.
        with opener(path, "rt", encoding="utf-8-sig", newline="\n") as lines:
            for line in lines:
                yield line.rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}: not UTF-8 ({error.reason})") from error
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise CorpusError(f"{path}: {reason}") from error


def tidy(text: str) -> str:
    """Unicode NFC, white space collapsed to single spaces."""
    return " ".join(unicodedata.normalize("NFC", text).split())


class Cleaner:
    """Tidies pairs and drops those not worth training on. One object a run: it sees repeats across files."""

    def __init__(self, config: DataConfig) -> None:
        self.config, self.report = config, CleaningReport()
        self._seen: set[bytes] = set()

    def clean(self, pairs: Iterable[Pair]) -> Iterator[Pair]:
        """The pairs that are kept; `report` counts the others by reason."""
        for pair in pairs:
            self.report.read += 1
            tidied = Pair(tidy(pair.source), tidy(pair.target))
            fault = self._fault(tidied)
            if fault is None:
                self.report.kept += 1
                yield tidied
            else:
                self.report.dropped[fault] += 1

    def _fault(self, pair: Pair) -> str | None:
        short, long = sorted((len(pair.source), len(pair.target)))
        if short == 0:
            return "empty"
        if long > self.config.max_characters:
            return "too long"
        if long >= RATIO_EXEMPT_CHARACTERS and long > self.config.max_length_ratio * short:
            return "length ratio"
        if self.config.drop_identical and pair.source == pair.target and len(pair.source.split()) > 3:
            return "identical sides"
        return "duplicate" if self.config.drop_duplicates and self._seen_before(pair) else None

    def _seen_before(self, pair: Pair) -> bool:
        """Remembers 16 bytes of a digest, not texts; the same in every process, as `hash` is not."""
        key = hashlib.blake2b("\t".join(pair).encode(), digest_size=16).digest()
        known = key in self._seen
        self._seen.add(key)
        return known
