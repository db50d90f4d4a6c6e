"""Names that nobody has, made of syllables: what a model can only copy, letter by letter.

Knows: beginnings, vowels and ends of syllables in European names, a random number generator. Must not know:
sentences, languages, tokens. All begin with a consonant, so that no word before them has to change ("de
Paul", but "d'Anne").
"""

from __future__ import annotations

import numpy as np

# fmt: off
_CONSONANTS = (
    "B", "Bj", "Bl", "Br", "C", "Ch", "Cl", "D", "Dr", "F", "Fr", "G", "Gl", "Gr", "J", "K", "Kl", "Kr",
    "L", "M", "N", "P", "Pr", "Qu", "R", "S", "Sch", "Sl", "St", "Sv", "T", "Th", "Tr", "V", "W", "Z",
)
_VOWELS = (
    "a", "e", "i", "o", "u", "a", "e", "i", "o", "u", "ä", "ö", "ü", "é", "è", "y", "ie", "ei", "au", "ou",
)
_ENDS = (
    "", "n", "r", "l", "s", "t", "m", "x", "rt", "nd", "ck", "tz", "ng", "dt", "lf", "ll", "ss", "nn", "ch",
)
_LAST = (
    "", "", "a", "o", "i", "mann", "sen", "son", "er", "ard", "ine", "elle", "ez", "ov", "ski", "berg", "et",
)
# fmt: on
_SHARE_OF_TWO = 0.3  # a given name and a family's
_MOST_SYLLABLES = 3

Random = np.random.Generator


def made_up_name(random: Random) -> str:
    """`Kleirn`, `Bjouson`, `Sveltz Dratier`: one word or two, each with a capital."""
    count = 2 if random.random() < _SHARE_OF_TWO else 1
    return " ".join(_word(random) for _ in range(count))


def _word(random: Random) -> str:
    syllables = [_syllable(random) for _ in range(random.integers(1, _MOST_SYLLABLES))]
    return "".join(syllables).capitalize() + _drawn(_LAST, random)


def _syllable(random: Random) -> str:
    return "".join(_drawn(parts, random) for parts in (_CONSONANTS, _VOWELS, _ENDS))


def _drawn(parts: tuple[str, ...], random: Random) -> str:
    return parts[random.integers(len(parts))]
