"""One spelling for what looks the same, and another by which texts are compared.

Knows: Unicode. Must not know: corpora, files.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

from training.corpus import Pair, tidy
from training.invisible import CONTROLS, INVISIBLE

# And non-joiner, joiner, word joiner: in what is compared they make no difference either.
_INVISIBLE = dict.fromkeys(map(ord, INVISIBLE + "\u200c\u200d\u2060"))
_CHANGES = {**dict.fromkeys(map(ord, CONTROLS), " "), **_INVISIBLE}
_TOKEN = re.compile(r"\w+|[^\w\s]")


class _WithoutPunctuation(dict[int, int | None]):
    """A table for `str.translate` that looks a character up when it first meets it."""

    def __missing__(self, code: int) -> int | None:
        self[code] = None if unicodedata.category(chr(code)).startswith("P") else code
        return self[code]


_PUNCTUATION = _WithoutPunctuation()


def normalised(pair: Pair) -> Pair:
    """NFC, nothing invisible, control characters and every kind of space as single plain spaces."""
    return Pair(*(tidy(text.translate(_CHANGES)) for text in pair))


def lightly_normalised(pair: Pair) -> Pair:
    """NFC and single plain spaces, for texts whose published form counts."""
    return Pair(*(tidy(text) for text in pair))


def comparison_key(text: str) -> str:
    """What texts that differ in case, width or punctuation alone have in common."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.translate(_PUNCTUATION).split())


def num_words(text: str) -> int:
    """Words, a punctuation mark that stands alone not counted."""
    return len(comparison_key(text).split())


def num_tokens(text: str) -> int:
    """Runs of word characters, and single other marks."""
    return len(_TOKEN.findall(text))


def digest(salt: str, pair: Pair) -> str:
    """A number of the pair that is the same everywhere, in hexadecimal; another salt gives another one."""
    return hashlib.sha256(f"{salt}{pair.source}\t{pair.target}".encode()).hexdigest()
