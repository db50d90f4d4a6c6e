"""Splits of a word: each as often as its probability to the power alpha, among all that there are."""

import itertools
import math
import random
from collections import Counter
from collections.abc import Iterator

import pytest

from training.unigram_lattice import UnigramLattice

SCORES = {"a": -2.0, "b": -2.5, "ab": -3.0, "ba": -3.5, "aba": -5.0}


def uniform() -> Iterator[float]:
    return iter(random.Random(1).random, None)


def splits(word: str) -> Iterator[tuple[str, ...]]:
    for length in range(1, len(word) + 1):
        if word[:length] in SCORES:
            rest = [()] if length == len(word) else splits(word[length:])
            yield from ((word[:length], *others) for others in rest)


@pytest.mark.parametrize("alpha", [0.1, 0.5, 1.0])
def test_splits_come_as_often_as_their_probability_to_the_power_alpha(alpha: float) -> None:
    lattice, chance, draws = UnigramLattice(SCORES, alpha), uniform(), 20_000
    counts = Counter(tuple(lattice.draw("abab", chance)) for _ in range(draws))
    weights = {split: math.exp(alpha * sum(SCORES[piece] for piece in split)) for split in splits("abab")}
    expected = {split: weight / sum(weights.values()) for split, weight in weights.items()}
    assert len(expected) == 6
    assert {split: count / draws for split, count in counts.items()} == pytest.approx(expected, abs=0.015)


def test_a_great_alpha_takes_the_best() -> None:
    lattice = UnigramLattice(SCORES, 1000.0)
    assert {tuple(lattice.draw("aba", uniform())) for _ in range(9)} == {("aba",)}
    assert lattice.draw("abab", uniform()) == ["ab", "ab"]


def test_a_character_that_is_no_piece_stands_alone() -> None:
    assert UnigramLattice(SCORES, 0.1).draw("x", uniform()) == ["x"]
    assert "x" in UnigramLattice(SCORES, 0.1).draw("abxab", uniform())
    assert UnigramLattice({}, 1.0).draw("xy", uniform()) == ["x", "y"]


def test_nothing_has_no_pieces() -> None:
    assert UnigramLattice(SCORES, 1.0).draw("", uniform()) == []


def test_a_long_word_is_drawn_as_its_parts_are() -> None:
    """Too long to be remembered, and with probabilities that no number holds."""
    drawn = UnigramLattice(SCORES, 1.0).draw("ab" * 2000, uniform())
    assert "".join(drawn) == "ab" * 2000
    assert set(drawn) == SCORES.keys()


def test_the_highest_chance_takes_the_last_step() -> None:
    lattice = UnigramLattice(SCORES, 0.5)
    for number in (0.0, math.nextafter(1.0, 0.0)):
        assert "".join(lattice.draw("ababa", itertools.repeat(number))) == "ababa"
