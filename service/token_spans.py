"""Which tokens spell which piece of a text.

Pure functions of spans, which are in code points; knows no tokenizer, no model.
"""

from __future__ import annotations

from collections.abc import Sequence

from service.segmentation import Span

TokenIds = tuple[int, ...]


def filled(spans: Sequence[Span]) -> list[Span]:
    """Spans in which no token is left out: the first bytes of a character, whose spans are empty, get that of
    the byte that completes it. Empty spans at the end (control pieces) stay."""
    result: list[Span] = []
    completing: Span | None = None
    for start, end in reversed(spans):
        if start < end:
            completing = (start, end)
        begins_it = start == end and completing is not None and completing[0] == end
        result.append(completing if completing is not None and begins_it else (start, end))
    return result[::-1]


def tokens_within(spans: Sequence[Span], places: Sequence[Span]) -> list[list[int]]:
    """For each place in the text the positions of the tokens that spell any of it, in order."""
    whole = filled(spans)
    return [
        [index for index, (left, right) in enumerate(whole) if left < end and right > start]
        for start, end in places
    ]
