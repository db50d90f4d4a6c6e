"""Recorded attention is the network's own."""

from __future__ import annotations

import pytest
import torch

from model.alignment import cross_attention, decoded_with_weights
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
