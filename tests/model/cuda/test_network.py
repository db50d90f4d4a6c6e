"""The network by itself: scores, capacity, what is refused, attention, its graphs' shapes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.alignment import cross_attention
from model.cuda.encoder import MOST_TOKENS, length_batches
from model.cuda.network import CudaNetwork
from model.cuda.shapes import room, step_shape
from model.kv_cache import CacheOverflow
from model.network import EagerNetwork, LooksAhead
from model.top_tokens import top_without_waiting
from tests.builders import tiny_model

MODEL = tiny_model(1)
NETWORK = CudaNetwork(MODEL, device="cpu", dtype=torch.float32, max_rows=16)
EAGER = EagerNetwork(MODEL)
SOURCES = ((5, 9, 7, 3), (6, 3))


@pytest.mark.parametrize("watch", [False, True])
@torch.inference_mode()
def test_a_step_is_the_module_s_step(watch: bool) -> None:
    cache, expected_cache = NETWORK.open(SOURCES, [2, 1], [4, 5]), EAGER.open(SOURCES, [2, 1], [4, 5])
    for token_ids in (torch.tensor([2, 2, 2]), torch.tensor([5, 6, 7])):
        expected = EAGER.step(token_ids, expected_cache, watch=watch)
        scores = NETWORK.step(token_ids, cache, watch=watch)
        torch.testing.assert_close(scores.log_probs(), expected.log_probs(), rtol=1e-5, atol=1e-5)
        if watch:
            assert scores.attention is not None
            assert expected.attention is not None
            width = expected.attention.shape[1]
            torch.testing.assert_close(scores.attention[:, :width], expected.attention, rtol=1e-5, atol=1e-5)
            assert not scores.attention[:, width:].any()
        else:
            assert scores.attention is None


@torch.inference_mode()
def test_a_segment_has_the_capacity_that_was_asked_for() -> None:
    cache = NETWORK.open(SOURCES, [1, 1], [1, 2])
    NETWORK.step(torch.tensor([2, 2]), cache)
    with pytest.raises(CacheOverflow, match="segment 0"):
        NETWORK.step(torch.tensor([5, 5]), cache)


@torch.inference_mode()
def test_what_no_device_may_be_asked_is_refused_on_the_host() -> None:
    cache = NETWORK.open(SOURCES, [1, 1], [4, 4])
    with pytest.raises(ValueError, match="3 tokens for 2 rows"):
        NETWORK.step(torch.tensor([2, 2, 2]), cache)
    with pytest.raises(ValueError, match=r"target ids must be in 0\.\.23, got 2 to 24"):
        NETWORK.step(torch.tensor([2, 24]), cache)
    with pytest.raises(ValueError, match=r"source ids must be in 0\.\.23, got -1 to 3"):
        NETWORK.open([(-1, 3)], [1], [4])
    with pytest.raises(ValueError, match="65 positions are more than max_target_length, which is 64"):
        NETWORK.open(SOURCES, [1, 1], [4, 65])
    with pytest.raises(ValueError, match="at least 1"):
        NETWORK.open([(), (3,)], [1, 1], [4, 4])
    with pytest.raises(ValueError, match="same segment"):
        cache.reorder(torch.tensor([1, 0]))
    with pytest.raises(ValueError, match="one boolean for each of 2"):
        cache.keep(torch.tensor([True]))


@torch.inference_mode()
def test_alignment_is_that_of_the_module() -> None:
    found = NETWORK.cross_attention(SOURCES[0], (8, 6, 3))
    assert torch.equal(found, cross_attention(MODEL, SOURCES[0], (8, 6, 3)))


@pytest.mark.parametrize(
    ("dtype", "name", "size"), [(torch.float32, "float32", 4), (torch.float16, "float16", 2)]
)
def test_precision_and_bytes_of_a_position_follow_the_type(dtype: torch.dtype, name: str, size: int) -> None:
    network = CudaNetwork(MODEL, device="cpu", dtype=dtype, max_rows=2)
    assert (network.precision, network.path, network.device.type) == (name, "direct", "cpu")
    assert network.bytes_per_position == 2 * MODEL.config.num_decoder_layers * MODEL.config.d_model * size
    assert MODEL.output.weight.dtype == torch.float32  # the module is left alone


@torch.inference_mode()
def test_the_cache_is_one_that_looks_ahead() -> None:
    assert isinstance(NETWORK.open(SOURCES, [1, 1], [4, 4]), LooksAhead)
    assert not isinstance(EAGER.open(SOURCES, [1, 1], [4, 4]), LooksAhead)


@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 300), st.integers(1, 9))
def test_the_likeliest_tokens_are_those_of_a_full_sort(seed: int, rows: int, tokens: int, count: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(-4, 4, (rows, tokens), generator=generator).float()  # many are equal
    values, ids = top_without_waiting(scores, count)
    expected = torch.sort(scores, dim=1, descending=True, stable=True)
    wanted = min(count, tokens)
    assert torch.equal(values[:, :wanted], expected.values[:, :wanted])
    assert torch.equal(ids[:, :wanted], expected.indices[:, :wanted])
    assert (values[:, wanted:] == float("-inf")).all()


@given(st.lists(st.integers(1, 8), min_size=1, max_size=40), st.integers(1, 300))
def test_shapes_hold_what_they_are_for_and_are_few(widths: list[int], needed: int) -> None:
    shape = step_shape(widths, 16, 16)
    assert shape.segments >= len(widths) > shape.segments // 2
    assert shape.rows >= sum(widths)
    assert shape.width == max(widths)
    assert shape.rows < 2 * sum(widths) + 1 or len(set(widths)) == 1
    assert min(needed, 256) <= room(needed, 256) <= max(32, min(256, 4 * needed))


@given(st.lists(st.integers(1, 256), min_size=1, max_size=200))
def test_batches_of_the_encoder_hold_each_sentence_once_and_little_padding(lengths: list[int]) -> None:
    batches = length_batches(lengths, 256)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        taken = [lengths[index] for index in batch]
        assert len({room(length, 256) for length in taken}) == 1
        assert len(batch) * room(max(taken), 256) <= MOST_TOKENS
