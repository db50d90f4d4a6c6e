"""What is translated in a measurement: seeded sentences of real lengths, made up here or read from a file.

Knows: an everyday grammar, lengths, files of sentences. Must not know: models, engines, HTTP.
"""

from __future__ import annotations

import csv
import gzip
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from loadtests import everyday

MEDIAN_WORDS, SPREAD = 9.0, 0.55  # of the logarithmic normal distribution that lengths are drawn from
FEWEST_WORDS, MOST_WORDS = 2, 60


class WorkloadError(ValueError):
    """The file of sentences cannot be used; says why."""


@dataclass(frozen=True, slots=True)
class Workload:
    """Sentences to translate; `references` as many, or none. `name` says where they came from."""

    name: str
    sentences: tuple[str, ...]
    references: tuple[str, ...] = ()


def workload(path: Path | None, count: int, seed: int = 0) -> Workload:
    """`count` sentences: of the file at `path`, else made up. Raises WorkloadError when it has fewer."""
    return read_sentences(path, count, seed) if path else made_up(count, seed)


def made_up(count: int, seed: int = 0) -> Workload:
    """Sentences of everyday life, the same for the same seed."""
    rng = random.Random(seed)
    sentences = tuple(_sentence(rng, _length(rng)) for _ in range(count))
    return Workload(f"{count} made-up sentences, seed {seed}", sentences)


def read_sentences(path: Path, count: int, seed: int = 0) -> Workload:
    """`count` lines drawn from a text or TSV file, plain or gzip: column 1 is translated, 2 the reference.

    The same lines for the same seed, in an order of their own. Raises WorkloadError.
    """
    rows = list(_rows(path))
    if len(rows) < count:
        raise WorkloadError(f"{path.name} has {len(rows)} sentences, {count} were asked for")
    chosen = random.Random(seed).sample(rows, count)
    references = tuple(row[1] for row in chosen if len(row) > 1)
    return Workload(
        f"{count} sentences of {path.name}, seed {seed}",
        tuple(row[0] for row in chosen),
        references if len(references) == count else (),
    )


def whole_file(path: Path) -> Workload:
    """Every sentence of such a file, in its order, without references. Raises WorkloadError."""
    sentences = tuple(row[0] for row in _rows(path))
    if not sentences:
        raise WorkloadError(f"{path.name} has no sentences; one stands on each line")
    return Workload(f"{len(sentences)} sentences of {path.name}", sentences)


def _rows(path: Path) -> Iterator[list[str]]:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8", newline="") as lines:
            for row in csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
                if row and row[0].strip():
                    yield row
    except OSError as error:
        raise WorkloadError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise WorkloadError(f"{path}: byte {error.start} is no UTF-8 text") from error


def _length(rng: random.Random) -> int:
    drawn = round(MEDIAN_WORDS * rng.lognormvariate(0.0, SPREAD))
    return min(max(drawn, FEWEST_WORDS), MOST_WORDS)


def _sentence(rng: random.Random, num_words: int) -> str:
    """About so many words: clauses are added while they bring it closer, and never more than the most."""
    if num_words <= everyday.LONGEST_PHRASE:
        return everyday.phrase(rng, num_words)
    words = everyday.clause(rng, num_words)
    while len(words) < num_words:
        more = [rng.choice(everyday.LINKS), *everyday.clause(rng, num_words - len(words) - 1)]
        if len(words) + len(more) - num_words > num_words - len(words) or len(words) + len(more) > MOST_WORDS:
            break
        words[-1] += ","
        words += more
    text = " ".join(words)
    return text[0].upper() + text[1:] + "."
