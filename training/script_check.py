"""Whether the letters of a text are of the script that its language is written in.

Knows: scripts by the names of Unicode's characters. Must not know: languages, pairs, files.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Literal, get_args

Script = Literal[
    "Arabic", "Armenian", "Bengali", "Chinese", "Cyrillic", "Devanagari", "Ethiopic", "Georgian", "Greek",
    "Gujarati", "Gurmukhi", "Hebrew", "Japanese", "Kannada", "Khmer", "Korean", "Lao", "Latin", "Malayalam",
    "Myanmar", "Sinhala", "Tamil", "Telugu", "Thai", "Tibetan",
]  # fmt: skip
SCRIPTS: tuple[Script, ...] = get_args(Script)

# How names of letters begin ("CJK UNIFIED IDEOGRAPH-4E2D"), where it is not with the script's own name.
_FIRST_WORDS = {
    "Chinese": ("CJK", "BOPOMOFO"),
    "Japanese": ("CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"),
    "Korean": ("HANGUL", "CJK"),
}
# "FULLWIDTH LATIN SMALL LETTER A", "HALFWIDTH KATAKANA LETTER A"
_WIDTHS = ("FULLWIDTH", "HALFWIDTH")


def share_of_letters(text: str, script: Script) -> float:
    """Of all letters of a text, the share of those in `script`, 0 to 1; 1 for a text without letters."""
    letters = [character for character in text if character.isalpha()]
    if not letters or (script == "Latin" and text.isascii()):
        return 1.0
    first_words = _FIRST_WORDS.get(script, (script.upper(),))
    return sum(_first_word(letter) in first_words for letter in letters) / len(letters)


@cache
def _first_word(letter: str) -> str:
    words = unicodedata.name(letter, "").split()
    return next((word for word in words if word not in _WIDTHS), "")
