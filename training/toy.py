"""Made-up pairs that a tiny model learns in a minute: digit words, and the same words backwards.

Knows: how to draw distinct sequences from a seed and how to write them as TSV files. Must not know: tokens,
models. Reversal asks for what translation asks for: the whole source, position by position, in another order.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from training.corpus import Pair
from training.data_config import GenerateConfig
from training.files import write_atomically

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def digit_reversal(settings: GenerateConfig) -> dict[str, list[Pair]]:
    """File name to pairs: train, dev and test, no sequence in two of them; the same for the same settings."""
    held_out = settings.held_out_pairs
    pairs = _distinct_pairs(settings, settings.train_pairs + 2 * held_out)
    train = pairs[2 * held_out :]
    return {"train.tsv": train, "dev.tsv": pairs[:held_out], "test.tsv": pairs[held_out : 2 * held_out]}


def _distinct_pairs(settings: GenerateConfig, count: int) -> list[Pair]:
    rng = random.Random(settings.seed)
    pairs: dict[Pair, None] = {}  # a set that keeps the order of insertion
    while len(pairs) < count:
        words = rng.choices(DIGITS, k=rng.randint(settings.min_words, settings.max_words))
        pairs[Pair(" ".join(words), " ".join(reversed(words)))] = None
    return list(pairs)


def write_generated(settings: GenerateConfig, folder: Path) -> Path:
    """Write the generated files into `folder`, replacing what was generated before; returns the folder."""
    for name, pairs in digit_reversal(settings).items():
        write_atomically(folder / name, _tsv(pairs).encode())
    return folder


def _tsv(pairs: Sequence[Pair]) -> str:
    return "".join(f"{pair.source}\t{pair.target}\n" for pair in pairs)
