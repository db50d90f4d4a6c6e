"""Ding's word list: German `::` English, alternatives behind semicolons, sub-entries between bars.

Knows: that form and its marks. Must not know: files, corpora.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from training.corpus import Pair
from training.sources.normal_form import num_words

_MARKS = re.compile(r"\{[^{}]*\}|\[[^\[\]]*\]|\([^()]*\)|/[^/]*/|<[^<>]*>")
_SENTENCE_END = (".", "!", "?", '."', '!"', '?"')
_ALTERNATIVES = re.compile(r"\w/\w| / ")
_MIN_SENTENCE_WORDS = 3


def entries(lines: Iterable[str]) -> Iterator[Pair]:
    """English and German of every sub-entry, the first alternative of each, without marks.

    Left out are those that say several things at once ("to undergo/have surgery").
    """
    for line in lines:
        german, separator, english = line.partition("::")
        if line.startswith("#") or not separator:
            continue
        # A sub-entry has its counterpart at the same place; where one is missing, nothing can be told.
        both = list(zip(english.split("|"), german.split("|"), strict=False))
        if english.count("|") == german.count("|"):
            plain = (Pair(_plain(left), _plain(right)) for left, right in both)
            yield from (pair for pair in plain if not _ALTERNATIVES.search("\t".join(pair)))


def is_sentence(pair: Pair) -> bool:
    """Whether both sides end as a sentence does, and the English one is not just a word or two."""
    return num_words(pair.source) >= _MIN_SENTENCE_WORDS and all(
        side.endswith(_SENTENCE_END) for side in pair
    )


def _plain(text: str) -> str:
    """The first alternative; a semicolon within brackets divides nothing."""
    without = text
    while (cut := _MARKS.sub(" ", without)) != without:
        without = cut
    return " ".join(without.split(";")[0].split())
