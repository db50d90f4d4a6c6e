"""Mixing corpora: shares by temperature, whole passes, parts that differ from epoch to epoch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.mixing import Mixture

SIZES = st.lists(st.integers(0, 60), min_size=1, max_size=5).filter(any)


def drawn(mixture: Mixture, seed: int = 0) -> list[int]:
    return [int(row) for row in mixture.draw(np.random.default_rng(seed))]


@given(SIZES, st.integers(0, 5))
def test_at_temperature_one_every_pair_is_seen_once(sizes: list[int], seed: int) -> None:
    assert sorted(drawn(Mixture(tuple(sizes), 1.0), seed)) == list(range(sum(sizes)))


@given(SIZES, st.floats(1, 100))
def test_an_epoch_has_as_many_pairs_as_the_corpora(sizes: list[int], temperature: float) -> None:
    mixture = Mixture(tuple(sizes), temperature)
    assert mixture.counts().sum() == sum(sizes) == len(drawn(mixture))
    assert [count for count, size in zip(mixture.counts(), sizes, strict=True) if not size] == [
        0 for size in sizes if not size
    ]


def test_shares_are_those_of_the_formula() -> None:
    """900 : 100 at T = 2 become sqrt(0.9) : sqrt(0.1) = 3 : 1."""
    assert Mixture((900, 100), 2.0).counts().tolist() == [750, 250]
    assert Mixture((900, 100), 1.0).counts().tolist() == [900, 100]
    assert Mixture((990, 10), 1e9).counts().tolist() == [500, 500]


@given(SIZES, st.floats(1, 100), st.integers(0, 5))
def test_pairs_of_a_corpus_are_seen_equally_often_within_one(
    sizes: list[int], temperature: float, seed: int
) -> None:
    times = np.bincount(drawn(Mixture(tuple(sizes), temperature), seed), minlength=sum(sizes))
    first = 0
    for size in filter(None, sizes):
        of_corpus = times[first : first + size]
        assert of_corpus.max() - of_corpus.min() <= 1
        first += size


def test_another_part_of_a_large_corpus_is_seen_in_each_epoch() -> None:
    mixture = Mixture((1000, 10), temperature=5.0)
    first, second = (set(drawn(mixture, seed)) & set(range(1000)) for seed in (0, 1))
    assert 300 < len(first) < 800
    assert first != second


@pytest.mark.parametrize("seed", [0, 3])
def test_the_same_numbers_draw_the_same_pairs(seed: int) -> None:
    mixture = Mixture((50, 5), 3.0)
    assert drawn(mixture, seed) == drawn(mixture, seed)
