"""What must not change in a segment becomes one character each, which the model copies to its place.

    segment   "Call {name}: 1,250 files"       Mask.source
    masked    "Call \\ue000: \\ue001 files"      Mask.text, what the model reads
    answer    "Ruf \\ue000 an: \\ue001 Dateien"
    restored  "Ruf {name} an: 1,250 Dateien"   unmasking.py

A character that touches a letter or digit is set apart by a space for the model, which has learned it as a
word of its own; whoever restores takes that space away again. Knows text and which characters a tokenizer
offers; must not know token ids, the engine or requests.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from service.hours import in_24_hours
from service.protected_spans import joined
from service.segmentation import Span, has_letter

MIN_CAPITAL_WORDS = 2  # of two letters or more
_WORDS = re.compile(r"[^\W\d_]{2,}")
_ENGLISH_I = re.compile(r"\bi\b")
FIRST_PRIVATE, LAST_PRIVATE = "\ue000", "\uf8ff"


@dataclass(frozen=True, slots=True)
class Copy:
    """A span of the source that is copied, and the text that it has in a translation: its own, but for hours.
    `joins_*` where it touched a letter or digit there, `stands_apart` where white space was before it."""

    symbol: str
    span: Span
    text: str
    joins_before: bool
    joins_after: bool
    stands_apart: bool


@dataclass(frozen=True, slots=True)
class Mask:
    """A segment's source and what the model reads in its stead; `copies` in order of their places.
    `in_capitals`: it reads small letters for capitals, and its translation is put in capitals again."""

    source: str
    text: str
    copies: tuple[Copy, ...]
    in_capitals: bool = False

    @property
    def is_only_copies(self) -> bool:
        """Whether nothing is left that a model could translate."""
        return bool(self.copies) and not has_letter(self.text)

    def places(self) -> list[Span]:
        """For each character of `text` where it stands in `source`; an added space has an empty span."""
        places, copied = list[Span](), iter(self.copies)
        place = 0
        following = next(copied, None)
        for character in self.text:
            start, end = (place, place + 1) if following is None else following.span
            if following is not None and character == following.symbol:
                places.append((start, end))
                place, following = end, next(copied, None)
            elif character == " " and self.source[place : place + 1] != " ":
                places.append((place, place))
            else:
                places.append((place, place + 1))
                place += 1
        return places


def without_capitals(made: Mask) -> Mask:
    """The same in small letters where all of it is in capitals, whose pieces a model has hardly seen; its
    first letter and an English "I" stay. Single words may be abbreviations, and stay too."""
    if not (made.text.replace("ß", "").isupper() and len(_WORDS.findall(made.text)) >= MIN_CAPITAL_WORDS):
        return made
    lowered = "".join(map(_lowered, made.text))
    if lowered == made.text:  # letters whose small form is two characters
        return made
    first = next(place for place, character in enumerate(lowered) if character != made.text[place])
    text = _ENGLISH_I.sub("I", lowered[:first] + made.text[first] + lowered[first + 1 :])
    return replace(made, text=text, in_capitals=True)


def _lowered(character: str) -> str:
    """One character for one, so that places stay."""
    small = character.lower()
    return small if len(small) == 1 else character


def has_private(text: str) -> bool:
    """Whether it has a character that could be taken for one of ours."""
    return any(FIRST_PRIVATE <= character <= LAST_PRIVATE for character in text)


def private_runs(text: str) -> int:
    """How often one or more such characters stand there in a row."""
    return sum(is_private for is_private, _ in groupby(text, has_private))


def mask(source: str, spans: Sequence[Span], symbols: Sequence[str]) -> Mask | None:
    """The source with its spans masked, as many as there are symbols; None where characters of its own that
    are taken for symbols would be left."""
    if len(spans) > len(symbols):
        spans = _first(source, _gathered(source, spans), len(symbols))
        if len(spans) > len(symbols):
            return None
    copies = tuple(_copy(source, span, symbol) for span, symbol in zip(spans, symbols, strict=False))
    return Mask(source, "".join(_masked(source, copies)), copies)


def _copy(source: str, span: Span, symbol: str) -> Copy:
    start, end = span
    before, after = source[start - 1 : start], source[end : end + 1]
    text = in_24_hours(source[start:end])
    return Copy(symbol, span, text, is_word(before), is_word(after), before.isspace())


def is_word(character: str) -> bool:
    """Whether it is a letter or a digit; nothing is neither."""
    return character.isalnum() or character == "_"


def _masked(source: str, copies: Sequence[Copy]) -> Iterator[str]:
    place = 0
    for copy in copies:
        yield source[place : copy.span[0]]
        yield " " * copy.joins_before + copy.symbol + " " * copy.joins_after
        place = copy.span[1]
    yield source[place:]


def _gathered(source: str, spans: Sequence[Span]) -> list[Span]:
    """Spans between which nothing can be translated, as in a row of numbers, made one."""
    ends = [start for start, _ in spans[1:]] + [len(source)]
    reaching = [
        (start, following if not has_letter(source[end:following]) and following < len(source) else end)
        for (start, end), following in zip(spans, ends, strict=True)
    ]
    return joined(reaching)


def _first(source: str, spans: Sequence[Span], most: int) -> list[Span]:
    """The first so many, before all others those that the model would take for symbols, however many."""
    own, others = list[Span](), list[Span]()
    for span in spans:
        (own if has_private(source[slice(*span)]) else others).append(span)
    return sorted([*own, *others[: max(0, most - len(own))]])
