"""Moses' words of a text, and the text of such words: what FSMT (WMT19) models read and write.

Knows: the `sacremoses` package, which is imported when the first text comes. Must not know: pieces, ids.

    text     It's 5 o'clock - "well-known".
    words    It &apos;s 5 o &apos;clock - &quot; well @-@ known &quot; .

How a word is spaced depends on what stands before it, and on nothing behind it but one thing: hyphens join
what Moses has cut there to one word, which may be spaced otherwise. So the text of the first words is the
beginning of the whole text unless they end at a hyphen.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

Span = tuple[int, int]

HYPHEN = "@-@"  # a hyphen within a word, which Moses makes a word of
# Its rules for Czech numbers look at the end of the whole text, and break off at "e-mail".
_DETOKENISED_AS = {"cs": "sk"}
_ENTITIES = {
    "&bar;": "|",
    "&#124;": "|",
    "&lt;": "<",
    "&gt;": ">",
    "&bra;": "[",
    "&ket;": "]",
    "&quot;": '"',
    "&apos;": "'",
    "&#91;": "[",
    "&#93;": "]",
    "&amp;": "&",
}
_ENTITY = re.compile("|".join(_ENTITIES))


class MosesText:
    """One language. Immutable once its tools are there; making them twice does no harm."""

    def __init__(self, language: str, *, lowercase: bool = False) -> None:
        """`language` in two letters; one that Moses has no rules for is treated as its default."""
        self.language, self.lowercase = language, lowercase
        self._tools: tuple[Any, Any, Any] | None = None

    def words(self, text: str) -> list[str]:
        """Normalised punctuation, no control characters, special characters as XML entities."""
        normaliser, tokenizer, _ = self._loaded()
        text = normaliser.normalize(text.lower() if self.lowercase else text)
        text = "".join(char for char in text if unicodedata.category(char)[0] != "C")
        words: list[str] = tokenizer.tokenize(
            text, aggressive_dash_splits=True, return_str=False, escape=True
        )
        return words

    def text(self, words: Sequence[str]) -> str:
        """The inverse, as far as there is one."""
        text: str = self._loaded()[2].detokenize(list(words))
        return text

    def num_settled(self, words: Sequence[str]) -> int:
        """How many of the first words have a text that no later word changes: the beginning of any text that
        goes on from `words`, of which the last may still grow."""
        count = len(words) - 1
        while count > 0 and not self._may_cut(words[count - 1], words[count]):
            count -= 1
        return max(count, 0)

    def _may_cut(self, before: str, after: str) -> bool:
        return HYPHEN not in (before, after)

    def _loaded(self) -> tuple[Any, Any, Any]:
        if self._tools is None:
            import sacremoses  # type: ignore[import-untyped]

            self._tools = (
                sacremoses.MosesPunctNormalizer(lang=self.language, pre_replace_unicode_punct=True),
                sacremoses.MosesTokenizer(lang=self.language),
                sacremoses.MosesDetokenizer(lang=_DETOKENISED_AS.get(self.language, self.language)),
            )
        return self._tools


def unescaped(word: str) -> str:
    """What a word shows in a text."""
    if word == HYPHEN:
        return "-"
    return _ENTITY.sub(lambda found: _ENTITIES[found[0]], word)


def shown_offsets(word: str) -> list[int]:
    """For each place between two characters of the word, and its ends, the place in what it shows. Within an
    entity that is behind its character."""
    entities = [(0, len(word))] if word == HYPHEN else [found.span() for found in _ENTITY.finditer(word)]
    offsets, shown = list[int](), 0
    for place in range(len(word) + 1):
        offsets.append(shown)
        inside = any(start < place < end for start, end in entities)
        shown += 0 if inside else 1
    return offsets


def word_spans(text: str, words: Sequence[str]) -> list[Span]:
    """Where each word stands in the text, in order, in code points.

    A word that normalisation has changed is looked for no further than its length away, and taken to stand
    where the one before it ended.
    """
    spans, end = list[Span](), 0
    for word in words:
        shown = unescaped(word)
        start = _next_visible(text, end)
        found = text.find(shown, end, start + len(shown) + _SLACK)
        if found >= 0:
            start = found
        end = min(start + len(shown), len(text))
        spans.append((min(start, end), end))
    return spans


_SLACK = 3  # characters that may have been dropped before a word
_VISIBLE = re.compile(r"\S")


def _next_visible(text: str, start: int) -> int:
    found = _VISIBLE.search(text, start)
    return found.start() if found else len(text)
