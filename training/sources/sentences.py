"""Paragraph pairs into sentence pairs, where both sides agree on how many there are.

Knows: where sentences end in languages that end them with . ! ? and begin them with a capital.
Must not know: formats, corpora.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from training.corpus import Pair

# An abbreviation or an ordinal ("z. B.", "3. Mai") is no end: one letter or a number before the full stop.
_END = re.compile(r"(?<=[.!?])(?<!\b\w\.)(?<!\d\.)(?:[\"'»“”)]*)\s+(?=[\"'«„“(]?[A-ZÄÖÜÀÂÇÉÈÊËÎÏÔŒÙÛ])")
_ABBREVIATIONS = re.compile(
    r"\b(?:e\.g|i\.e|etc|vs|bzw|usw|ca|vgl|ggf|evtl|inkl|Nr|Dr|Mr|Mrs|St|cf|p\.\s?ex)\.\s*$"
)
_MAX_RATIO = 2.5
_EXEMPT_CHARACTERS = 20


def sentence_pairs(pair: Pair) -> Iterator[Pair]:
    """The sentences one by one; the whole, where counts differ or lengths make the order doubtful."""
    sources, targets = _sentences(pair.source), _sentences(pair.target)
    parts = [Pair(*both) for both in zip(sources, targets, strict=False)]
    agree = len(sources) == len(targets) and all(_plausible(part) for part in parts)
    yield from parts if agree else [pair]


def _sentences(text: str) -> list[str]:
    found, start = list[str](), 0
    for end in _END.finditer(text):
        if not _ABBREVIATIONS.search(text[start : end.start()]):
            found.append(text[start : end.end()].strip())
            start = end.end()
    return [*found, text[start:].strip()]


def _plausible(pair: Pair) -> bool:
    short, long = sorted((len(pair.source), len(pair.target)))
    return short > 0 and (long < _EXEMPT_CHARACTERS or long <= _MAX_RATIO * short)
