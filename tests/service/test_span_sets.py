"""Sentences do not cut what is kept, and know what lies within them."""

from __future__ import annotations

import pytest

from service.long_sentences import divide
from service.segmentation import Span
from service.span_sets import around, cut_by, within


@pytest.mark.parametrize(
    ("spans", "kept", "expected"),
    [
        ([(0, 5), (6, 9)], [(3, 8)], [(0, 9)]),
        ([(0, 5), (6, 9)], [(5, 6)], [(0, 5), (6, 9)]),
        ([(2, 5)], [(0, 3), (4, 7)], [(0, 7)]),
        ([(0, 5), (6, 9), (10, 12)], [(4, 11)], [(0, 12)]),
        ([(0, 5)], [], [(0, 5)]),
    ],
)
def test_a_sentence_that_cuts_what_is_kept_goes_on(
    spans: list[Span], kept: list[Span], expected: list[Span]
) -> None:
    assert around(spans, kept) == expected


def test_what_lies_within_is_counted_from_the_start_of_what_is_around() -> None:
    kept = [(0, 2), (4, 6), (6, 9), (9, 12)]
    assert within(kept, (4, 9)) == [(0, 2), (2, 5)]
    assert within(kept, (3, 8)) == [(1, 3)]


def test_a_place_at_an_edge_cuts_nothing() -> None:
    assert [cut_by(place, [(2, 4)]) for place in (1, 2, 3, 4)] == [None, None, (2, 4), None]


def test_a_long_sentence_is_not_cut_within_what_is_kept() -> None:
    text = "one two three four"
    kept = [(0, 13)]
    parts = divide(text, (0, len(text)), lambda span: span[1] - span[0], 14, kept)
    assert [text[slice(*part)] for part in parts] == ["one two three", "four"]
