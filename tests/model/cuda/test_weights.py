"""The output projection's lines are whole, its answers the module's own, and no weights are there twice."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from model.cuda.weights import LINE, output_of
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
