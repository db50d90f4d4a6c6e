"""Divides a sentence that is longer than a model reads, at the best place, and never drops a character.

Knows token counts through a function it is given, and text; must not know tokenizers, models or requests.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence

from service.segmentation import Span
from service.span_sets import cut_by

# From the best place to the worst: behind a clause, between words, between characters.
_CLAUSE = re.compile(r"(?<=[.;:!?])\s+|(?<=[,\)\]»”–—])\s+|(?<=[、，；：。！？])\s*")
_WORD = re.compile(r"\s+")
_JOINERS = "\u200d\ufe0e\ufe0f"


class IndivisibleError(Exception):
    """One character alone has more tokens than the model reads; `span` is where it stands."""

    def __init__(self, span: Span, num_tokens: int) -> None:
        super().__init__(f"characters {span[0]} to {span[1]} alone are {num_tokens} tokens")
        self.span, self.num_tokens = span, num_tokens


def divide(
    text: str,
    span: Span,
    count_tokens: Callable[[Span], int],
    max_tokens: int,
    kept: Sequence[Span] = (),
) -> list[Span]:
    """Spans in order, each at most `max_tokens` long by `count_tokens`; between them is only white space.

    Halves are kept about equal, since a model does worse on a stump. What is `kept` is cut only where nothing
    else is left to cut. Raises IndivisibleError.
    """
    parts: list[Span] = []
    pending = [span]
    while pending:  # not recursion: a text without a space may need many cuts
        start, end = pending.pop()
        num_tokens = count_tokens((start, end))
        if num_tokens <= max_tokens:
            parts.append((start, end))
            continue
        cut = _best_cut(text, start, end, kept)
        if cut is None:
            raise IndivisibleError((start, end), num_tokens)
        # The left half is popped first, so that parts come in reading order.
        pending += [(cut[1], end), (start, cut[0])]
    return parts


def _best_cut(text: str, start: int, end: int, kept: Sequence[Span]) -> Span | None:
    """The gap to cut at: nearest to the middle among the best kind that leaves text on both sides."""
    for pattern in (_CLAUSE, _WORD):
        candidates = (gap for gap in _gaps(pattern, text, start, end) if not _cuts(gap, kept))
        cut = _nearest_to_middle(candidates, start, end)
        # A clause mark close to an edge would leave a stump, where a word gap near the middle would not.
        if cut is not None and min(cut[0] - start, end - cut[1]) * 8 >= end - start:
            return cut
    place = _character_gap(text, start, end, kept)
    return None if place is None else (place, place)


def _cuts(gap: Span, kept: Sequence[Span]) -> bool:
    return any(cut_by(place, kept) is not None for place in gap)


def _gaps(pattern: re.Pattern[str], text: str, start: int, end: int) -> Iterator[Span]:
    for found in pattern.finditer(text, start, end):
        if start < found.start() and found.end() < end:
            yield found.span()


def _character_gap(text: str, start: int, end: int, kept: Sequence[Span]) -> int | None:
    """The place nearest to the middle that cuts no character as people see it and, if there is one, nothing
    of what is kept; None for one character."""
    if end - start < 2:
        return None
    within_kept: int | None = None
    for place in _from_the_middle(start, end):
        if not _joined(text[place - 1], text[place]):
            if cut_by(place, kept) is None:
                return place
            within_kept = place if within_kept is None else within_kept
    # Where there is nothing but combining marks: better cut than lost.
    return (start + end) // 2 if within_kept is None else within_kept


def _from_the_middle(start: int, end: int) -> Iterator[int]:
    """The places between the two, the nearest to their middle first."""
    middle = (start + end) // 2
    for distance in range(end - start):
        yield from (place for place in (middle - distance, middle + distance) if start < place < end)


def _joined(before: str, after: str) -> bool:
    """Whether the two belong together: a combining mark behind its letter, the parts of one emoji."""
    return unicodedata.category(after)[0] == "M" or after in _JOINERS or before == _JOINERS[0]


def _nearest_to_middle(gaps: Iterator[Span], start: int, end: int) -> Span | None:
    return min(gaps, key=lambda gap: abs(gap[0] + gap[1] - start - end), default=None)
