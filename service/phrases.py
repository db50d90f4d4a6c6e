"""Target text that a translation must begin with, contain, or lack: from text to token ids, and back.

Knows tokenizers and how pieces spell words; must not know requests, engines or HTTP.

The same text can be spelled by many sequences of pieces, and a search knows pieces only. So what is forced is
refused unless its pieces spell it exactly; and what is banned is looked for in the finished text, since no
list of sequences could hold every spelling (service/verified_events.py bans the one that was found).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from model.tokenizer import Tokenizer
from service.token_spans import TokenIds, tokens_within

MAX_SEQUENCE_TOKENS = 64


class UnwritableError(ValueError):
    """The tokenizer's pieces spell `written` where `text` was asked for."""

    def __init__(self, text: str, written: str) -> None:
        super().__init__(f"{text!r} would be written {written!r}")
        self.text, self.written = text, written


def exact_ids(tokenizer: Tokenizer, text: str) -> TokenIds:
    """Ids that spell `text` to the character, at the start of a word. Raises UnwritableError.

    A text that begins or ends with white space is never spelled so, nor what normalisation changes.
    """
    token_ids = tuple(tokenizer.encode_target(text)[:-1])
    written = tokenizer.decode_target(token_ids)
    if written != text:
        raise UnwritableError(text, written)
    return token_ids


class Spellings(NamedTuple):
    """Sequences of tokens, in order: those that are `there`, and those by which the same phrases are likely
    to come back."""

    there: dict[TokenIds, None]
    usual: dict[TokenIds, None]


class BannedPhrases:
    """Phrases that stand in no translation: as whole words, whatever their case and the gaps between them.

    A phrase's edge that is no letter, digit or underscore needs no word boundary there.
    """

    def __init__(self, tokenizer: Tokenizer, phrases: Iterable[str]) -> None:
        self._tokenizer = tokenizer
        self._phrases = tuple(phrases)
        # As asked for, and as the tokenizer would write it: composed, without invisible characters.
        spellings = ((phrase, self._written(phrase)) for phrase in self._phrases)
        self._patterns = [re.compile("|".join(map(_pattern, both)), re.IGNORECASE) for both in spellings]

    def phrase_in(self, text: str) -> str | None:
        """The first of the phrases that stands in the text."""
        found = zip(self._phrases, self._patterns, strict=True)
        return next((phrase for phrase, pattern in found if pattern.search(text)), None)

    def found_in(self, token_ids: Sequence[int]) -> Spellings:
        """How these tokens spell the banned phrases that stand in their text."""
        text = self._tokenizer.decode_target(token_ids)
        found = Spellings({}, {})
        if self.phrase_in(text) is None:
            return found
        spans = self._tokenizer.target_spans(token_ids)
        for phrase, pattern in zip(self._phrases, self._patterns, strict=True):
            places = [match.span() for match in pattern.finditer(text)]
            for positions in tokens_within(spans, places):
                found.there[tuple(token_ids[index] for index in positions)] = None
                found.usual.update(dict.fromkeys(self._usual(phrase)))
        return found

    def _usual(self, phrase: str) -> Iterator[TokenIds]:
        """The phrase at the start of a word, in the ways in which it is likely to be capitalised."""
        for text in (phrase, phrase.lower(), phrase.upper(), phrase.title(), phrase[:1].upper() + phrase[1:]):
            token_ids = tuple(self._tokenizer.encode_target(text)[:-1])
            if 1 <= len(token_ids) <= MAX_SEQUENCE_TOKENS:
                yield token_ids

    def _written(self, phrase: str) -> str:
        return self._tokenizer.decode_target(self._tokenizer.encode_target(phrase)) or phrase


def _pattern(phrase: str) -> str:
    words = r"\s+".join(map(re.escape, phrase.split()))
    before = r"(?<!\w)" if re.match(r"\w", phrase) else ""
    after = r"(?!\w)" if re.search(r"\w$", phrase) else ""
    return before + words + after
