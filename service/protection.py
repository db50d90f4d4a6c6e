"""What a model is not to touch, and how it is told so: made once for each model that has learned to copy.

Knows a tokenizer's placeholders, what its source side can spell, letters of languages, and masks; must not
know the engine or HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from model.alphabets import letters_of, small
from service.hours import in_24_hours
from service.masking import Mask, has_private, is_word, mask, without_capitals
from service.protected_spans import joined
from service.segmentation import Span
from service.unicode_words import clusters, words_with_marks

if TYPE_CHECKING:  # annotations only: routes import this package before torch is there
    from model.tokenizer import Tokenizer

MIN_NAMES = 2  # so many unknown ones, and a known word behind them is one, too
MAX_REMEMBERED = 20_000  # characters of which is known whether the model has them
MAX_REMEMBERED_LENGTH = 8  # of one of these, its marks included
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
# What tokenizers drop, and terminals and old files may mean something by; white space is none of it. And the
# mark of words in their pieces (U+2581), which they take for a space or an underscore.
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u2581]")
# Marks that a model is to write in its own language's way, whether or not it has seen these.
_TYPOGRAPHY = frozenset("‐‑‒–—―‘’‚“”„…«»")


@dataclass(frozen=True, slots=True)
class CopiedIds:
    """Target ids: those that a segment's translation has once each, and all that stand for something; those
    of single bytes, each with its own."""

    wanted: frozenset[int]
    every: frozenset[int]
    byte_of: Mapping[int, int] = field(default_factory=dict, hash=False, compare=False)


@dataclass(frozen=True, slots=True)
class MaskedSource:
    """A segment as the model reads it, and the ids of what it is to copy."""

    mask: Mask
    ids: CopiedIds


@dataclass(frozen=True, slots=True)
class Target:
    """What a request says of the translation: a `prefix` of the first segment's, and `phrases` that it must
    or must not have, which are the model's own business wherever they stand."""

    prefix: str = ""
    phrases: tuple[str, ...] = ()

    def concerns(self, text: str) -> bool:
        """Whether a span with this text must be left to the model: part of it may be part of a phrase, or
        the prefix ends within it."""
        folded = _folded(text)
        if any(_may_share(folded, _folded(phrase)) for phrase in self.phrases):
            return True
        lengths = range(1, min(len(text), len(self.prefix) + 1))
        return any(self._ends_with(text[:length]) for length in lengths)

    def _ends_with(self, beginning: str) -> bool:
        before = self.prefix[: len(self.prefix) - len(beginning)]
        return self.prefix.endswith(beginning) and not is_word(before[-1:])


ANY_TARGET = Target()


def _folded(text: str) -> str:
    """As phrases are compared: whatever the case, whatever the white space."""
    return " ".join(text.casefold().split())


def _may_share(text: str, phrase: str) -> bool:
    """Whether one of them is in the other, or a phrase of whole words may begin or end within the text."""
    if phrase in text or text in phrase:
        return True
    begins, ends = is_word(phrase[:1]), is_word(phrase[-1:])
    return any(
        (phrase.startswith(text[-length:]) and not (begins and is_word(text[-length - 1])))
        or (phrase.endswith(text[:length]) and not (ends and is_word(text[length])))
        for length in range(1, min(len(text), len(phrase)))
    )


def _is_capitalised(word: str) -> bool:
    return word[0].isupper() and not word.isupper()


class Protector:
    """For one tokenizer. Safe to use in several threads. Without `copying` the model reads everything itself,
    but for characters that it would take for its own symbols, none of which it may write."""

    def __init__(self, tokenizer: Tokenizer, *, copying: bool = True) -> None:
        self.symbols, self._copying = tokenizer.placeholders, copying
        self._tokenizer = tokenizer
        self._id_of = {symbol: tokenizer.placeholder_id(symbol) for symbol in self.symbols}
        self._every = frozenset(self._id_of.values())
        # Without copying a model has to spell in bytes what it has no pieces for.
        self._byte_of = tokenizer.target_bytes if copying else {}
        self._is_known: dict[str, bool] = {}
        self._read_letters: dict[str | None, frozenset[str]] = {}

    @classmethod
    def of(cls, tokenizer: Tokenizer, *, copying: bool = True) -> Protector | None:
        """None where the model has not learned to copy."""
        return cls(tokenizer, copying=copying) if tokenizer.placeholders else None

    def masked(
        self,
        source: str,
        spans: Sequence[Span],
        target: Target = ANY_TARGET,
        language: str | None = None,
    ) -> MaskedSource | None:
        """The segment with these spans masked, and what the model cannot spell, but for letters of `language`
        (ISO 639-1, None for an unknown one). None: it cannot be given to the model."""
        masked = mask(source, self._left(source, spans, target, self._letters(language)), self.symbols)
        if masked is None:
            return None
        if self._copying and target == ANY_TARGET:  # what else is said of it is said in capitals
            masked = without_capitals(masked)
        wanted = frozenset(self._id_of[copy.symbol] for copy in masked.copies)
        return MaskedSource(masked, CopiedIds(wanted, self._every, self._byte_of))

    def _letters(self, language: str | None) -> frozenset[str]:
        """The language's letters that the model reads in bytes, rare as they are: a word with one is a word
        like any other ("sœur"), while one with a letter of elsewhere is a name ("Łukasz")."""
        letters = self._read_letters.get(language)
        if letters is None:
            letters = frozenset(filter(self._tokenizer.reads_source, letters_of(language)))
            self._read_letters[language] = letters
        return letters

    def _left(
        self, source: str, spans: Sequence[Span], target: Target, letters: frozenset[str]
    ) -> list[Span]:
        """Of these spans, and of what the model cannot spell, what it does not read."""
        if not self._copying:
            return joined([span for span in spans if has_private(source[slice(*span)])])
        found = joined(sorted([*spans, *self._unknown(source, spans, letters)]))
        return [
            s for s in found if has_private(t := source[slice(*s)]) or not target.concerns(in_24_hours(t))
        ]

    def _unknown(self, source: str, spans: Sequence[Span], letters: frozenset[str]) -> Iterator[Span]:
        """Words and marks that the model could only spell in bytes; where no known word stands between them,
        they are one span. Behind two such names another capital is the third of them ("Nguyễn Văn An")."""
        others = _NOT_ASCII.findall(source)
        if all(self._knows(other, letters) for other in others) and _CONTROL.search(source) is None:
            return
        starts = [0, *(end for _, end in spans)]
        ends = [*(start for start, _ in spans), len(source)]
        for start, end in zip(starts, ends, strict=True):
            yield from self._unknown_between(source, start, end, letters)

    def _unknown_between(self, source: str, start: int, end: int, letters: frozenset[str]) -> Iterator[Span]:
        found, num_names = None, 0
        for word in words_with_marks(source, start, end):
            text = source[slice(*word)]
            if not all(self._knows(cluster, letters) for cluster in clusters(text)):
                found = word if found is None else (found[0], word[1])
                num_names = num_names + 1 if _is_capitalised(text) else 0
            elif found is not None and is_word(text[0]):
                ends_name = source[found[1] : word[0]] == " " and _is_capitalised(text)
                yield (found[0], word[1]) if num_names >= MIN_NAMES and ends_name else found
                found, num_names = None, 0
        if found is not None:
            yield found

    def _knows(self, cluster: str, letters: frozenset[str]) -> bool:
        if _CONTROL.match(cluster) is not None:
            return False
        if cluster.isascii() or cluster in _TYPOGRAPHY or small(cluster) in letters:
            return True
        known = self._is_known.get(cluster)
        if known is None:
            # A capital that texts hardly have is still a letter of the language ("Ö").
            known = any(map(self._tokenizer.knows_source, (cluster, cluster.lower())))
            # A letter may have any number of marks, and what strangers send is not to fill the memory.
            if len(cluster) <= MAX_REMEMBERED_LENGTH and len(self._is_known) < MAX_REMEMBERED:
                self._is_known[cluster] = known
        return known
