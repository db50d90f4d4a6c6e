"""Words and marks of any script as people see them: a letter with its accents, an emoji with its parts.

Pure functions of text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from service.segmentation import Span

_JOINERS = "\u200c\u200d\ufe0e\ufe0f"


def words_with_marks(text: str, start: int, end: int) -> Iterator[Span]:
    """Where words stand between the two places, and all else that is no white space, each mark by itself."""
    while start < end:
        if text[start].isspace():
            start += 1
            continue
        stop = start + 1
        goes_on = _is_letter if _is_letter(text[start]) else _belongs_before
        while stop < end and goes_on(text[stop]):
            stop += 1
        yield start, stop
        start = stop


def clusters(text: str) -> Iterator[str]:
    """Each character together with what is put on it."""
    start = 0
    for place in range(1, len(text) + 1):
        if place == len(text) or not _belongs_before(text[place]):
            yield text[start:place]
            start = place


def _is_letter(character: str) -> bool:
    return character.isalnum() or character == "_" or _belongs_before(character)


def _belongs_before(character: str) -> bool:
    return character in _JOINERS or unicodedata.category(character)[0] == "M"
