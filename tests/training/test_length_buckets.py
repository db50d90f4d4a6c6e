"""Every sentence is in one group, groups ascend, none is empty."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from training.length_buckets import by_length, check_bounds, length_of


def test_bounds_belong_to_the_group_below() -> None:
    found = by_length([5, 6, 0, 11, 10, 99], (5, 10, 50))
    assert [(one.label, one.indices) for one in found] == [
        ("up to 5", (0, 2)),
        ("6-10", (1, 4)),
        ("11-50", (3,)),
        ("over 50", (5,)),
    ]


def test_groups_without_sentences_are_left_out() -> None:
    assert [one.label for one in by_length([7, 200], (5, 10, 50))] == ["6-10", "over 50"]


@given(some.lists(some.integers(0, 30)), some.sets(some.integers(1, 20), min_size=1))
def test_every_sentence_is_in_the_one_group_that_holds_its_length(
    lengths: list[int], bounds: set[int]
) -> None:
    found = by_length(lengths, sorted(bounds))
    assert sorted(index for one in found for index in one.indices) == list(range(len(lengths)))
    for one in found:
        high = 99 if one.high is None else one.high
        assert all(one.low <= lengths[index] <= high for index in one.indices)
    assert [one.low for one in found] == sorted(one.low for one in found)


@pytest.mark.parametrize("bounds", [[], [0, 5], [5, 5], [10, 5], [-1]])
def test_bounds_that_do_not_ascend_from_one_are_refused(bounds: list[int]) -> None:
    with pytest.raises(ValueError, match="above 0 and ascend"):
        check_bounds(bounds)


def test_length_counts_words_or_characters() -> None:
    assert (length_of(" two  words ", "words"), length_of("猫が好き", "characters")) == (2, 4)
