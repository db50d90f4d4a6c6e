"""The eager network answers what the module does: opened, stepped, watched, aligned."""

from __future__ import annotations

import pytest
import torch

from model.alignment import cross_attention
from model.kv_cache import CacheOverflow
from model.masks import pad_batch
from model.network import EagerNetwork
from model.transformer import next_log_probs
from tests.builders import tiny_model

MODEL = tiny_model(1)
NETWORK = EagerNetwork(MODEL)
SOURCES = ((5, 9, 7, 3), (6, 3))


@pytest.mark.parametrize("watch", [False, True])
@torch.inference_mode()
def test_a_step_is_the_module_s_step(watch: bool) -> None:
    ids, mask = pad_batch(SOURCES, MODEL.config.pad_id)
    expected_cache = MODEL.start_cache(MODEL.encode(ids, mask), mask, [2, 1], [4, 5])
    cache = NETWORK.open(SOURCES, [2, 1], [4, 5])
    for token_ids in (torch.tensor([2, 2, 2]), torch.tensor([5, 6, 7])):
        logits, attention = MODEL.decode_step_watched(token_ids, expected_cache)
        scores = NETWORK.step(token_ids, cache, watch=watch)
        assert torch.equal(scores.log_probs(), next_log_probs(logits))
        if watch:
            assert scores.attention is not None
            assert torch.equal(scores.attention, attention)
        else:
            assert scores.attention is None


@torch.inference_mode()
def test_a_segment_has_the_capacity_that_was_asked_for() -> None:
    cache = NETWORK.open(SOURCES, [1, 1], [1, 2])
    NETWORK.step(torch.tensor([2, 2]), cache)
    with pytest.raises(CacheOverflow, match="segment 0"):
        NETWORK.step(torch.tensor([5, 5]), cache)


@torch.inference_mode()
def test_alignment_is_that_of_the_module() -> None:
    found = NETWORK.cross_attention(SOURCES[0], (8, 6, 3))
    assert torch.equal(found, cross_attention(MODEL, SOURCES[0], (8, 6, 3)))


@pytest.mark.parametrize(
    ("dtype", "name", "size"), [(torch.float32, "float32", 4), (torch.bfloat16, "bfloat16", 2)]
)
def test_precision_and_bytes_of_a_position_follow_the_weights(
    dtype: torch.dtype, name: str, size: int
) -> None:
    network = EagerNetwork(tiny_model(1).to(dtype))
    assert (network.precision, network.path, network.device.type) == (name, "eager", "cpu")
    layers, width = network.config.num_decoder_layers, network.config.d_model
    assert network.bytes_per_position == 2 * layers * width * size
