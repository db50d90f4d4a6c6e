"""The text that a run learns from, in files: every corpus cleaned, repeated, each copy varied.

Knows: the order of these steps; nothing is ever in memory but a few thousand pairs. Must not know: tokens,
and what becomes of the text.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from model.directions import Pair as Direction
from model.placeholders import placeholder_symbols
from training.augmentation import Augmenter
from training.cleaning import Cleaner
from training.cleaning_report import CleaningReport
from training.config import TrainingConfig
from training.corpus import Pair, read_pairs
from training.data_config import AugmentationConfig, CorpusFile
from training.errors import CorpusError
from training.language_check import load_identifier
from training.monitor import Monitor
from training.pair_text import PairText, PairTextWriter, in_chunks


@dataclass(frozen=True)
class TrainingText:
    """All pairs, corpus by corpus, and how many of each in which direction."""

    text: PairText
    sizes: tuple[int, ...]
    directions: tuple[Direction, ...]
    cleaning: str  # what was read, kept, dropped and varied, in words


def write_training_text(
    config: TrainingConfig, data_folder: Path, folder: Path, monitor: Monitor
) -> TrainingText:
    """Into files of `folder`. Raises `CorpusError` when one cannot be read or no pair is left."""
    report = CleaningReport()
    cleaners = _cleaners(config, folder, report)
    symbols = placeholder_symbols(config.tokenizer.placeholders)
    augmenter = Augmenter(config.data.augmentation, symbols, config.seed)
    varies = config.data.augmentation != AugmentationConfig()
    sizes = list[int]()
    with PairTextWriter(folder, "all") as writer, monitor.counting("cleaning", None) as done:
        for corpus in config.data.train:
            pairs = _kept(cleaners[config.direction_of(corpus)], corpus, data_folder, done)
            copies: Iterator[Pair] = _copies(pairs, corpus.repeat, folder)
            if varies:
                copies = augmenter.variations(copies)
            sizes.append(_write(writer, copies if corpus.tag is None else _tagged(copies, corpus.tag)))
    cleaning = report.describe() + augmenter.describe()
    if not sum(sizes):
        raise CorpusError(f"no training pair is left after cleaning ({cleaning})")
    directions = tuple(map(config.direction_of, config.data.train))
    return TrainingText(PairText.mapped(folder, "all"), tuple(sizes), directions, cleaning)


def _cleaners(config: TrainingConfig, folder: Path, report: CleaningReport) -> dict[Direction, Cleaner]:
    """One for each direction: what repeats a pair of another direction is something else to learn."""
    cleaners, load = dict[Direction, Cleaner](), functools.cache(load_identifier)
    for number, direction in enumerate(config.directions):
        seen = folder / f"seen-{number}"
        seen.mkdir()
        cleaners[direction] = Cleaner(config.data, direction, seen, load, report)
    return cleaners


def _tagged(pairs: Iterable[Pair], tag: str) -> Iterator[Pair]:
    """The last of all changes: nothing varies a tag."""
    return (Pair(f"{tag} {pair.source}", pair.target) for pair in pairs)


def _kept(
    cleaner: Cleaner, corpus: CorpusFile, data_folder: Path, done: Callable[[int], None]
) -> Iterator[Pair]:
    for chunk in in_chunks(read_pairs(corpus, data_folder)):
        done(len(chunk))
        yield from cleaner.clean(chunk)


def _copies(pairs: Iterable[Pair], repeat: int, folder: Path) -> Iterator[Pair]:
    """All pairs, then all of them again; what comes again waits in a file."""
    if repeat == 1:
        yield from pairs
        return
    with PairTextWriter(folder, "once") as once:
        for chunk in in_chunks(pairs):
            once.append(chunk)
            yield from chunk
    text = PairText.mapped(folder, "once")
    for _ in range(repeat - 1):
        yield from text


def _write(writer: PairTextWriter, pairs: Iterable[Pair]) -> int:
    """How many were written."""
    total = 0
    for chunk in in_chunks(pairs):
        writer.append(chunk)
        total += len(chunk)
    return total
