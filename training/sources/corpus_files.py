"""One corpus: its held-out texts, then its training text without anything that they hold.

    parts -> normal form -> no blank side, no repeat -> [choose dev] -> [drop held-out text] -> order -> file

Knows: what is dropped and why, and in which order a file stands. Must not know: downloads, formats.

A corpus is in memory while it is made: about a kilobyte a pair.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Set
from pathlib import Path

from training.cleaning_report import CleaningReport
from training.corpus import Pair
from training.files import write_atomically
from training.sources.config import Corpus, HeldOutFile
from training.sources.normal_form import (
    comparison_key,
    digest,
    lightly_normalised,
    normalised,
    num_words,
)
from training.sources.readers import read_part

# Short sides ("Thank you!") may stand in test and training text; a longer one would give the answer away.
MIN_HELD_OUT_WORDS = 3
_ORDER, _CHOICE = "order-v1", "dev-v1"


def training_pairs(corpus: Corpus, raw_folder: Path, counts: CleaningReport) -> list[Pair]:
    """Every distinct pair of a corpus, in the order of its files. Raises `SourceError`."""
    found = (pair for part in corpus.train for pair in read_part(part, raw_folder))
    return list(_distinct((normalised(pair) for pair in found), counts))


def held_out_pairs(
    wanted: HeldOutFile, train: Iterable[Pair], raw_folder: Path, counts: CleaningReport
) -> list[Pair]:
    """The pairs of one dev or test text. `train` are those to choose from. Raises `SourceError`."""
    if wanted.choose is not None:
        return chosen(train, wanted.choose, wanted.min_words, counts)
    found = (pair for part in wanted.parts for pair in read_part(part, raw_folder))
    if wanted.as_published:
        pairs = _counted((lightly_normalised(pair) for pair in found), counts)
    else:
        pairs = _distinct((normalised(pair) for pair in found), counts)
    return list(_long_enough(pairs, wanted.min_words, counts))


def chosen(pairs: Iterable[Pair], count: int, min_words: int, counts: CleaningReport) -> list[Pair]:
    """So many pairs that look drawn at random, and are the same in every run; no side is in two of them."""
    long_enough = list(_long_enough(_counted(pairs, counts), min_words, counts))
    taken, sides = list[Pair](), set[str]()
    for pair in sorted(long_enough, key=lambda pair: digest(_CHOICE, pair)):
        if len(taken) < count and sides.isdisjoint(pair):
            taken.append(pair)
            sides.update(pair)
    counts.dropped["not chosen"] += len(long_enough) - len(taken)
    counts.kept = len(taken)
    return taken


def without_held_out(pairs: Iterable[Pair], held_out: Set[str], counts: CleaningReport) -> list[Pair]:
    """The pairs no side of which, by its key, stands in a dev or test text; in an order that looks random.

    So that any beginning of the file is a sample of the whole.
    """
    kept = [pair for pair in pairs if held_out.isdisjoint(held_out_keys([pair]))]
    counts.dropped["held out"] += counts.kept - len(kept)
    counts.kept = len(kept)
    return sorted(kept, key=lambda pair: digest(_ORDER, pair))


def held_out_keys(pairs: Iterable[Pair]) -> set[str]:
    """By what a training side is recognised as one of these."""
    keys = (comparison_key(side) for pair in pairs for side in pair)
    return {key for key in keys if key.count(" ") + 1 >= MIN_HELD_OUT_WORDS}


def write_pairs(path: Path, pairs: Iterable[Pair]) -> None:
    """A TSV, compressed when its name ends in `.gz`, whole or absent; equal pairs make equal files."""
    content = "".join(f"{pair.source}\t{pair.target}\n" for pair in pairs).encode()
    write_atomically(path, gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def _counted(pairs: Iterable[Pair], counts: CleaningReport) -> Iterator[Pair]:
    for pair in pairs:
        counts.read += 1
        counts.kept += 1
        yield pair


def _distinct(pairs: Iterable[Pair], counts: CleaningReport) -> Iterator[Pair]:
    seen = set[Pair]()
    for pair in _counted(pairs, counts):
        fault = "blank" if not all(pair) else "repeated" if pair in seen else None
        if fault is None:
            seen.add(pair)
            yield pair
        else:
            _drop(fault, counts)


def _long_enough(pairs: Iterable[Pair], min_words: int, counts: CleaningReport) -> Iterator[Pair]:
    for pair in pairs:
        if min(map(num_words, pair)) >= min_words:
            yield pair
        else:
            _drop("short", counts)


def _drop(fault: str, counts: CleaningReport) -> None:
    counts.dropped[fault] += 1
    counts.kept -= 1
