"""The output projection's lines are whole, its answers the module's own, and no weights are there twice; a
rectifier at the end of a product changes no bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from model.cuda.weights import LINE, feed_forward_of, output_of, rectified
from model.layers import FeedForward
from model.transformer import Transformer
from tests.builders import tiny_config


def model_of(num_tokens: int, **changed: Any) -> Transformer:
    sizes = {"source_vocab_size": num_tokens, "target_vocab_size": num_tokens}
    model = Transformer(tiny_config(**sizes, **changed)).eval()
    if model.output.bias is not None:
        torch.nn.init.normal_(model.output.bias)
    return model.requires_grad_(False)


@pytest.mark.parametrize("num_tokens", [80, 81, 95])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@torch.inference_mode()
def test_the_answers_are_those_of_the_module(num_tokens: int, tied: bool, bias: bool) -> None:
    model = model_of(num_tokens, tie_output=tied, share_embeddings=tied, output_bias=bias)
    x = torch.randn(5, model.config.d_model)
    expected, weight = model.output(x), model.output.weight.clone()
    logits = output_of(model)(x)
    assert logits.shape == (5, num_tokens)
    assert logits.stride(0) % LINE == 0
    torch.testing.assert_close(logits, expected)
    assert torch.equal(model.output.weight, weight)
    assert torch.equal(model.output(x), expected)


@torch.inference_mode()
def test_tied_weights_are_a_part_of_the_longer_ones() -> None:
    model = model_of(81, tie_output=True, share_embeddings=True)
    longer = output_of(model)
    begins = {weight.data_ptr() for weight in longer.parameters() if weight.dim() == 2}
    tied = (model.output, model.target_embedding.tokens, model.source_embedding.tokens)
    assert {module.weight.data_ptr() for module in tied} == begins


def test_whole_lines_are_left_alone() -> None:
    model = model_of(80)
    assert output_of(model) is model.output


@pytest.mark.parametrize("activation", ["relu", "gelu", "silu"])
@torch.inference_mode()
def test_a_feed_forward_is_the_module(activation: Any) -> None:
    layer = FeedForward(tiny_config(activation=activation), 48).eval()
    x = torch.randn(7, 32)
    assert torch.equal(feed_forward_of(layer)(x), layer(x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_rectifier_is_the_end_of_the_product(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = FeedForward(tiny_config(), 48).inner.to(dtype)
    torch.nn.init.normal_(inner.bias)
    x = torch.randn(7, 32, dtype=dtype)
    monkeypatch.setattr("model.cuda.weights.in_tiles", lambda _: False)  # as on a GPU
    with torch.no_grad():
        apart = torch.relu(torch.nn.functional.linear(x, inner.weight, inner.bias))
        assert torch.equal(rectified(inner, x), apart)
    assert 0 < int((apart > 0).sum()) < apart.numel()
