"""Spans of one kind against spans of another kind, in the same text.

Pure functions; every sequence of spans is in order and disjoint.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from operator import itemgetter

from service.segmentation import Span


def around(spans: Sequence[Span], kept: Sequence[Span]) -> list[Span]:
    """The spans, each grown over what it would cut of `kept`; those that come to overlap are one."""
    result: list[Span] = []
    for start, end in spans:
        start, end = _edge(start, kept, 0), _edge(end, kept, 1)
        if result and start < result[-1][1]:
            result[-1] = (result[-1][0], end)
        else:
            result.append((start, end))
    return result


def within(spans: Sequence[Span], outer: Span) -> list[Span]:
    """Those that lie in the outer one, counted from its start."""
    first = bisect_left(spans, outer[0], key=itemgetter(0))
    stop = bisect_right(spans, outer[1], lo=first, key=itemgetter(1))
    return [(start - outer[0], end - outer[0]) for start, end in spans[first:stop]]


def cut_by(place: int, spans: Sequence[Span]) -> Span | None:
    """The span that the place lies within, at neither of its ends."""
    index = bisect_left(spans, place, key=itemgetter(0)) - 1
    return spans[index] if index >= 0 and spans[index][1] > place else None


def _edge(place: int, kept: Sequence[Span], side: int) -> int:
    span = cut_by(place, kept)
    return place if span is None else span[side]
