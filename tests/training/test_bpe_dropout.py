"""Merges of a word: the best first, none that is left out, the word always spelled."""

import itertools
import random
from collections import Counter

import pytest

from training.bpe_dropout import BpeDropout

# Learned in this order.
SCORES = {"ab": -0.0, "bc": -1.0, "abc": -2.0, "aa": -3.0, "a": -4.0, "b": -5.0, "c": -6.0}
NEVER, ALWAYS = itertools.repeat(0.999), itertools.repeat(0.0)


@pytest.mark.parametrize(
    ("word", "split"),
    [
        ("abc", ["abc"]),
        ("bcab", ["bc", "ab"]),
        ("aaa", ["aa", "a"]),  # of equal merges the leftmost
        ("aab", ["a", "ab"]),
        ("xab?", ["x", "ab", "?"]),
        ("", []),
        ("c", ["c"]),
    ],
)
def test_with_nothing_left_out_the_best_merge_comes_first(word: str, split: list[str]) -> None:
    assert BpeDropout(SCORES, 0.0).draw(word, ALWAYS) == split
    assert BpeDropout(SCORES, 0.5).draw(word, NEVER) == split


def test_with_everything_left_out_characters_remain() -> None:
    assert BpeDropout(SCORES, 1.0).draw("abcab", NEVER) == list("abcab")


def test_the_next_best_takes_the_place_of_what_is_left_out() -> None:
    chance = iter([0.1, 0.9, 0.1])  # without "ab"; "bc"; without "abc"
    assert BpeDropout(SCORES, 0.5).draw("abc", chance) == ["a", "bc"]
    assert not list(chance)


def test_what_was_left_out_once_may_come_later() -> None:
    assert BpeDropout(SCORES, 0.5).draw("abcaa", iter([0.1, 0.9, 0.9, 0.9])) == ["abc", "aa"]


def test_splits_come_as_often_as_the_algorithm_says() -> None:
    """ "abc" at 0.3: "ab" is taken with 0.7, and then "abc" with 0.7; else "bc" with 0.3 * 0.7, and so on."""
    dropout, draws = BpeDropout(SCORES, 0.3), 20_000
    uniform = iter(random.Random(1).random, None)
    counts = Counter(tuple(dropout.draw("abc", uniform)) for _ in range(draws))
    expected = {
        ("abc",): 0.7 * 0.7 + 0.3 * 0.7 * 0.7,
        ("ab", "c"): 0.7 * 0.3,
        ("a", "bc"): 0.3 * 0.7 * 0.3,
        ("a", "b", "c"): 0.3 * 0.3,
    }
    assert {split: count / draws for split, count in counts.items()} == pytest.approx(expected, abs=0.015)
