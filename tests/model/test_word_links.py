"""Words are linked to what they looked at."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.word_links import WordLink, link_words


def test_a_word_is_linked_to_the_word_that_has_most_of_its_attention_over_all_pieces() -> None:
    #                         one pie- ces  </s>
    weights = np.array([[0.6, 0.2, 0.1, 0.1], [0.1, 0.1, 0.1, 0.7], [0.3, 0.25, 0.25, 0.2]])
    links = link_words(weights, [[0], [2]], [[0], [1, 2]])
    assert links == [WordLink(0, 0, pytest.approx(0.6)), WordLink(1, 1, pytest.approx(0.5))]


def test_the_end_mark_takes_no_word() -> None:
    weights = np.array([[0.05, 0.1, 0.85]])
    assert link_words(weights, [[0]], [[0], [1]]) == [WordLink(0, 1, pytest.approx(0.1))]


def test_words_without_tokens_have_no_link() -> None:
    weights = np.array([[0.5, 0.5]])
    assert link_words(weights, [[], [0]], [[], [1]]) == [WordLink(1, 1, pytest.approx(0.5))]
    assert link_words(weights, [[0]], [[]]) == link_words(weights, [[0]], []) == []


@given(st.integers(1, 6), st.integers(1, 6), st.data())
def test_weights_are_shares_and_no_other_word_has_more(
    targets: int, sources: int, data: st.DataObject
) -> None:
    numbers = st.lists(st.integers(0, 100), min_size=sources, max_size=sources)
    rows = data.draw(st.lists(numbers.filter(any), min_size=targets, max_size=targets))
    weights = np.array([[number / sum(row) for number in row] for row in rows])
    for link in link_words(weights, [[t] for t in range(targets)], [[s] for s in range(sources)]):
        assert 0 <= link.weight <= 1.0001
        assert link.weight == weights[link.target_word].max()
