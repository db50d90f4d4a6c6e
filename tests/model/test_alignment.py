"""Recorded attention is the network's own, and words are linked to what they looked at."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.alignment import WordLink, cross_attention, decoded_with_weights, link_words
from tests.builders import tiny_model
from tests.model.test_transformer import VARIANTS

SOURCE, TARGET = (5, 9, 7, 3), (8, 6, 11, 4, 3)


@pytest.mark.parametrize("name", VARIANTS)
@torch.inference_mode()
def test_recording_weights_changes_no_logit_of_any_variant(name: str) -> None:
    model = tiny_model(2, **VARIANTS[name]).double()
    ids = [model.config.decoder_start_id, *TARGET[:-1]]
    source = torch.tensor([SOURCE])
    mask = torch.ones_like(source, dtype=torch.bool)
    memory = model.encode(source, mask)
    logits, _ = decoded_with_weights(model, memory, ids)
    torch.testing.assert_close(logits, model.decode(torch.tensor([ids]), memory, mask)[0])


@torch.inference_mode()
def test_every_row_of_every_head_is_a_distribution_over_the_source() -> None:
    model = tiny_model(2)
    weights = cross_attention(model, SOURCE, TARGET)
    assert weights.shape == (2, 4, 5, 4)
    assert (weights.dtype, weights.device.type) == (torch.float32, "cpu")
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4, 5))


@torch.inference_mode()
def test_a_row_depends_on_the_tokens_before_it_alone() -> None:
    model = tiny_model(2).double()
    whole, begun = cross_attention(model, SOURCE, TARGET), cross_attention(model, SOURCE, TARGET[:2])
    torch.testing.assert_close(whole[:, :, :2], begun)
    other = cross_attention(model, SOURCE, (*TARGET[:2], 12, 13, 14))
    torch.testing.assert_close(whole[:, :, :3], other[:, :, :3])
    assert not torch.allclose(whole[:, :, 3], other[:, :, 3])


@pytest.mark.parametrize(("source", "target"), [((), (5,)), ((5,), ()), ((5,), (6,) * 65), ((5,) * 65, (6,))])
def test_what_the_network_has_no_positions_for_is_refused(
    source: tuple[int, ...], target: tuple[int, ...]
) -> None:
    with torch.inference_mode(), pytest.raises(ValueError, match=r"tokens|positions"):
        cross_attention(tiny_model(), source, target)


def test_a_word_is_linked_to_the_word_that_has_most_of_its_attention_over_all_pieces() -> None:
    #                         one pie- ces  </s>
    weights = torch.tensor([[0.6, 0.2, 0.1, 0.1], [0.1, 0.1, 0.1, 0.7], [0.3, 0.25, 0.25, 0.2]])
    links = link_words(weights, [[0], [2]], [[0], [1, 2]])
    assert links == [WordLink(0, 0, pytest.approx(0.6)), WordLink(1, 1, pytest.approx(0.5))]


def test_the_end_mark_takes_no_word() -> None:
    weights = torch.tensor([[0.05, 0.1, 0.85]])
    assert link_words(weights, [[0]], [[0], [1]]) == [WordLink(0, 1, pytest.approx(0.1))]


def test_words_without_tokens_have_no_link() -> None:
    weights = torch.tensor([[0.5, 0.5]])
    assert link_words(weights, [[], [0]], [[], [1]]) == [WordLink(1, 1, pytest.approx(0.5))]
    assert link_words(weights, [[0]], [[]]) == link_words(weights, [[0]], []) == []


@given(st.integers(1, 6), st.integers(1, 6), st.data())
def test_weights_are_shares_and_no_other_word_has_more(
    targets: int, sources: int, data: st.DataObject
) -> None:
    numbers = st.lists(st.integers(0, 100), min_size=sources, max_size=sources)
    rows = data.draw(st.lists(numbers.filter(any), min_size=targets, max_size=targets))
    weights = torch.tensor([[number / sum(row) for number in row] for row in rows])
    for link in link_words(weights, [[t] for t in range(targets)], [[s] for s in range(sources)]):
        assert 0 <= link.weight <= 1.0001
        assert link.weight == weights[link.target_word].max()
