"""Words and marks of any script as people see them: a letter with its accents, an emoji with its parts.

Pure functions of text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from service.segmentation import Span

_JOINERS = "\u200c\u200d\ufe0e\ufe0f"
_MAY_BE_MARKED = re.compile(r"[^\x00-\u02ff]")
_LETTER = "ˑ"  # of no alphabet, so that no pattern means it by name


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


def with_letters_for_marks(text: str) -> str:
    """The same with a letter for each mark on a letter or digit: to patterns a mark is no part of a word, and
    "ü" in two characters would end one. What makes a picture of a digit stays."""
    if _MAY_BE_MARKED.search(text) is None:
        return text
    result, is_behind_word = list[str](), False
    for character in text:
        if is_behind_word and _is_accent(character):
            character = _LETTER
        else:
            is_behind_word = character.isalnum()
        result.append(character)
    return "".join(result)


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


def _is_accent(character: str) -> bool:
    return unicodedata.category(character) in ("Mn", "Mc") and character not in _JOINERS
