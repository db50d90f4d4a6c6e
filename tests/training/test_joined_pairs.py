"""Joined pairs say on both sides what their parts say, in the same order, and nothing of a corpus is lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.corpus import Pair
from training.joined_pairs import MAX_JOINED_CHARACTERS, MAX_OTHER_PAIRS, Joiner


def joiner(share: float = 0.5, seed: int = 1) -> Joiner:
    return Joiner(share, np.random.default_rng(seed))


def numbered(count: int, length: int = 1) -> list[Pair]:
    return [Pair(f"{'e' * length}{n}.", f"{'d' * length}{n}.") for n in range(count)]


@given(seed=st.integers(0, 2**32), share=st.floats(0, 1), count=st.integers(0, 40))
def test_each_pair_comes_once_in_its_place_with_earlier_ones_behind_it(
    seed: int, share: float, count: int
) -> None:
    for place, pair in enumerate(joiner(share, seed).joined(numbered(count))):
        source, target = (text.split(" ") for text in pair)
        assert [word[1:] for word in source] == [
            word[1:] for word in target
        ]  # the same parts in the same order
        first, *others = (int(word[1:-1]) for word in source)
        assert first == place
        assert len(others) <= MAX_OTHER_PAIRS
        assert all(other < place for other in others)


def test_about_the_share_that_is_asked_for_is_joined_and_counted() -> None:
    one, pairs = joiner(0.25), numbered(2000)
    longer = sum(joined != pair for joined, pair in zip(one.joined(pairs), pairs, strict=True))
    assert 400 < longer == one.count < 600


def test_one_to_three_others_come_about_equally_often() -> None:
    sizes = [pair.source.count(" ") for pair in joiner(1.0).joined(numbered(900))][1:]
    assert all(240 < sizes.count(others) < 360 for others in (1, 2, 3))


def test_what_others_come_from_is_the_corpus_and_not_only_its_beginning() -> None:
    unfit = Pair("Open file", "Datei öffnen")
    mixed = [one for pair in numbered(6000) for one in (pair, unfit)]
    last = list(joiner(1.0).joined(mixed))[-1000::2]
    others = [int(word[1:-1]) for pair in last for word in pair.source.split(" ")[1:]]
    assert min(others) > 4000
    assert len(set(others)) > 400


def test_no_joined_text_is_longer_than_its_bound_and_a_longer_pair_is_left_as_it_is() -> None:
    joined = list(joiner(1.0).joined(numbered(300, length=100)))
    assert max(len(text) for pair in joined for text in pair) <= MAX_JOINED_CHARACTERS
    assert any(" " in pair.source for pair in joined)
    long = numbered(20, length=MAX_JOINED_CHARACTERS)
    assert list(joiner(1.0).joined(long)) == long


@pytest.mark.parametrize("pair", [Pair("Open file", "Datei öffnen"), Pair("Yes.", "Ja"), Pair("Yes", "Ja.")])
def test_what_does_not_end_as_a_sentence_is_neither_joined_nor_put_behind_another(pair: Pair) -> None:
    mixed = [part for one in numbered(50) for part in (pair, one)]
    joined = list(joiner(1.0).joined(mixed))
    assert joined[::2] == [pair] * 50
    assert not any(text in one for one in joined[3::2] for text in pair if text[-1] != ".")


def test_a_script_without_spaces_gets_none() -> None:
    pairs = [Pair(f"Yes {n}.", f"是{n}。") for n in range(30)]
    joined = list(joiner(1.0).joined(pairs))[1:]
    assert all(" Yes" in pair.source and " " not in pair.target for pair in joined)


def test_the_seed_decides() -> None:
    pairs = numbered(100)
    first, second, other = (list(joiner(0.5, seed).joined(pairs)) for seed in (1, 1, 2))
    assert first == second != other
