"""Splits a text into the sentences that a model translates and the layout that nobody touches.

    "Intro:\n\n  - One. Two.\t42\n"
     ^^^^^^      ^^^^ ^^^^            sentences: what is translated
           ^^^^^^    ^    ^^^^^       layout: line ends, indents, list marks, gaps, what has no letter

Every character of the text is in exactly one segment, in order: `before + source + after` of all segments,
one behind the other, is the text again. Knows text only; must not know tokens (long_sentences.py does).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import sentencex  # type: ignore[import-untyped]

SplitMode = Literal["sentences", "lines", "none"]
Span = tuple[int, int]

# All that Unicode calls the end of a line, as str.splitlines does.
_LINE_END = re.compile(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
# A tab or a wide gap within a line separates columns, not words of one sentence.
_COLUMN_GAP = re.compile(r"\s*(?:\t|\s{3})\s*")
# Bullets, quote marks and heading marks of plain text and Markdown; numbers only with a mark behind them,
# letters with a parenthesis: "A. Smith" is no first point. An initial taken for a Roman number stays.
_NUMERAL = r"(?:\d{1,3}|[a-zA-Z]|[ivx]{2,5}|[IVX]{2,5})"
_LIST_MARK = re.compile(rf"(?:(?:[-*+>#•◦▪‣·–—]+|\(?{_NUMERAL}\)|\(?\d{{1,3}}\.|[IVX]{{1,5}}\.)[^\S\n]+)+")
# Invisible characters that carry no meaning at the edge of a sentence: byte order mark, zero-width space.
_EDGE = "\ufeff\u200b\u2060"


_WINDOW = 4_000  # characters


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece to translate with the layout around it; `start` is where `source` stands, in characters.

    `before` is empty but in a text's first segment. `source` is empty in a text that is nothing but layout.
    """

    before: str
    source: str
    after: str
    start: int

    @property
    def end(self) -> int:
        """Offset behind the last character of `source`."""
        return self.start + len(self.source)


def sentence_spans(text: str, mode: SplitMode, language: str) -> list[Span]:
    """Offsets of what is to be translated, in order and disjoint; each holds a letter and has bare edges."""
    if mode == "none":
        rough: Iterable[Span] = [(0, len(text))]
    elif mode == "lines":
        rough = _lines(text)
    else:
        rough = (span for line in _lines(text) for span in _sentences_of_line(text, line, language))
    trimmed = (_without_repeated_marks(text, trim(text, span)) for span in rough)
    return [span for span in trimmed if has_letter(text[span[0] : span[1]])]


def to_segments(text: str, spans: Sequence[Span]) -> list[Segment]:
    """Segments for the spans; layout belongs to the segment it follows, at the very start to the first."""
    if not spans:
        return [Segment(text, "", "", len(text))] if text else []
    ends = [start for start, _ in spans[1:]] + [len(text)]
    befores = [text[: spans[0][0]]] + [""] * (len(spans) - 1)
    return [
        Segment(before, text[start:end], text[end:next_start], start)
        for before, (start, end), next_start in zip(befores, spans, ends, strict=True)
    ]


def has_letter(text: str) -> bool:
    """Whether a model could translate any of it: digits, marks and emoji alone pass through unchanged."""
    return any(character.isalpha() for character in text)


def _lines(text: str) -> Iterable[Span]:
    start = 0
    for line_end in _LINE_END.finditer(text):
        yield start, line_end.start()
        start = line_end.end()
    yield start, len(text)


def _sentences_of_line(text: str, line: Span, language: str) -> Iterable[Span]:
    for start, end in _columns(text, line):
        mark = _LIST_MARK.match(text, start, end)
        yield from _sentences(text, (mark.end() if mark else start, end), language)


def _columns(text: str, line: Span) -> Iterable[Span]:
    start, end = trim(text, line)
    for gap in _COLUMN_GAP.finditer(text, start, end):
        yield start, gap.start()
        start = gap.end()
    yield start, end


def _sentences(text: str, span: Span, language: str) -> Iterable[Span]:
    """The sentences of a piece, found window by window: on one huge line the library's time is quadratic."""
    start, end = span
    window = _WINDOW
    while start < end:
        stop = min(end, start + window)
        starts = _sentence_starts(text[start:stop], language)
        if stop < end and len(starts) == 1:
            window *= 2  # the sentence may go on behind the window
            continue
        # The last sentence of a window may be cut short: the next window begins with it.
        limits = [*starts, stop - start] if stop == end else starts
        yield from ((start + left, start + right) for left, right in pairwise(limits))
        start, window = start + limits[-1], _WINDOW


def _sentence_starts(piece: str, language: str) -> list[int]:
    """Offsets at which sentences begin, the first 0; one for all where the library's do not fit."""
    if not has_letter(piece):
        return [0]
    starts = [boundary["start_index"] for boundary in sentencex.get_sentence_boundaries(language, piece)]
    in_order = all(left < right for left, right in pairwise([*starts, len(piece)]))
    return starts if starts[:1] == [0] and in_order else [0]


def _without_repeated_marks(text: str, span: Span) -> Span:
    """Of "What???" the model reads "What?", as it has hardly seen more; the rest is layout behind it."""
    start, end = span
    while end - start >= 2 and text[end - 1] in "!?" and text[end - 2] == text[end - 1]:
        end -= 1
    return start, end


def trim(text: str, span: Span) -> Span:
    """The span without white space and invisible characters at its edges."""
    start, end = span
    while start < end and (text[start].isspace() or text[start] in _EDGE):
        start += 1
    while start < end and (text[end - 1].isspace() or text[end - 1] in _EDGE):
        end -= 1
    return start, end
