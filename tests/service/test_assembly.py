"""Segments become texts, best first."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.assembly import assemble_text
from service.jobs import SegmentHypothesis, SegmentResult
from service.segmentation import Segment


def result(*hypotheses: tuple[str, float | None], before: str = "", after: str = "") -> SegmentResult:
    segment = Segment(before, "source", after, 0)
    return SegmentResult(
        0, 0, segment, tuple(SegmentHypothesis(text, score, "stop") for text, score in hypotheses)
    )


def test_layout_stands_where_it_stood_and_scores_are_averaged() -> None:
    text = assemble_text(
        [result(("Eins.", -0.2), before=" ", after="\n\n"), result(("Zwei.", -0.4))], 1, None
    )
    assert text.candidates[0].text == " Eins.\n\nZwei."
    assert text.candidates[0].score == pytest.approx(-0.3)


def test_what_passed_through_unchanged_has_no_part_in_the_score() -> None:
    text = assemble_text([result(("", None), before="42"), result(("Zwei.", -0.4))], 1, None)
    assert text.candidates[0].score == -0.4


def test_an_empty_text_is_empty_without_a_score() -> None:
    (candidate,) = assemble_text([], 3, None).candidates
    assert (candidate.text, candidate.score, candidate.finish_reason) == ("", None, "stop")


def test_one_segment_cut_short_makes_the_text_cut_short() -> None:
    cut = SegmentResult(0, 0, Segment("", "a", "", 0), (SegmentHypothesis("a", -1.0, "length"),))
    assert assemble_text([cut, result(("b", -1.0))], 1, None).candidates[0].finish_reason == "length"


SCORES = st.lists(st.integers(-100, 0), min_size=1, max_size=4).map(
    lambda scores: sorted(scores, reverse=True)
)


@given(st.lists(SCORES, max_size=5), st.integers(1, 6))
def test_the_n_best_are_the_best_of_all_ways_to_choose_one_hypothesis_each(
    scores: list[list[int]], number: int
) -> None:
    segments = [result(*((f"{rank},", float(score)) for rank, score in enumerate(one))) for one in scores]
    candidates = assemble_text(segments, number, None).candidates
    every_sum = sorted((sum(choice) for choice in product(*scores)), reverse=True)[:number]
    if scores:
        assert [one.score for one in candidates] == pytest.approx(
            [total / len(scores) for total in every_sum]
        )
    assert candidates[0].text == "0," * len(scores)
    assert len({one.text for one in candidates}) == len(candidates)
