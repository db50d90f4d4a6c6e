"""A row's answer is the same, to the last bit, whatever rows stand beside it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch._dynamo.testing import CompileCounter

from model.attention import attention
from model.linear import Linear

WIDTHS = [(256, 256), (1024, 256), (256, 1024), (200, 64)]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("outputs", "inputs"), WIDTHS, ids=str)
@torch.inference_mode()
def test_a_row_has_the_same_bits_alone_and_among_others(outputs: int, inputs: int, bias: bool) -> None:
    torch.manual_seed(outputs)
    layer, rows = Linear(inputs, outputs, bias=bias), torch.randn(70, inputs)
    together = layer(rows)
    for count in [*range(1, 20), 33, 69]:
        assert torch.equal(layer(rows[-count:]), together[-count:]), count


@torch.inference_mode()
def test_shape_and_values_are_those_of_a_plain_linear_layer() -> None:
    torch.manual_seed(0)
    layer, x = Linear(8, 5).double(), torch.randn(3, 1, 8, dtype=torch.float64)
    expected = torch.einsum("bqk,nk->bqn", x, layer.weight) + layer.bias
    assert layer(x).shape == (3, 1, 5)
    assert torch.allclose(layer(x), expected, atol=1e-12)


def test_training_gets_a_product_without_tiles_and_gradients_of_every_row() -> None:
    """What product that is in float32: `test_training_product.py`."""
    torch.manual_seed(0)
    layer, x = Linear(8, 5), torch.randn(3, 8, requires_grad=True)
    wide, y = Linear(8, 5).double(), torch.randn(3, 8, dtype=torch.float64, requires_grad=True)
    assert torch.equal(wide(y), torch.nn.functional.linear(y, wide.weight, wide.bias))
    layer(x).sum().backward()
    assert x.grad is not None
    assert torch.allclose(x.grad, layer.weight.sum(0).expand(3, 8))


def test_names_and_shapes_of_the_weights_are_those_of_a_plain_linear_layer() -> None:
    shapes = {name: tensor.shape for name, tensor in Linear(8, 5).state_dict().items()}
    assert shapes == {name: tensor.shape for name, tensor in torch.nn.Linear(8, 5).state_dict().items()}


@given(
    num_keys=st.integers(1, 40),
    padding=st.integers(0, 30),
    num_queries=st.integers(1, 9),
    seed=st.integers(0, 9),
)
@torch.inference_mode()
def test_padding_and_other_queries_change_no_bit_of_an_attention(
    num_keys: int, padding: int, num_queries: int, seed: int
) -> None:
    torch.manual_seed(seed)
    key, value = torch.randn(2, 1, 4, num_keys + padding, 64)
    query = torch.randn(1, 4, num_queries, 64)
    mask = (torch.arange(num_keys + padding) < num_keys)[None, None, None]
    exact = attention(query[:, :, :1], key[:, :, :num_keys], value[:, :, :num_keys], None)
    assert torch.equal(attention(query, key, value, mask)[:, :, :1], exact)


@pytest.mark.parametrize("length", [1, 3, 16, 21])
@torch.inference_mode()
def test_the_last_position_under_a_causal_mask_has_the_bits_of_one_query(length: int) -> None:
    torch.manual_seed(length)
    query, key, value = torch.randn(3, 2, 4, length, 64)
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    together = attention(query, key, value, causal)
    assert together.isfinite().all()
    assert torch.equal(together[:, :, -1:], attention(query[:, :, -1:], key, value, None))


def test_a_compiled_training_step_is_compiled_once_for_any_number_of_rows() -> None:
    """Not once for each remainder of a tile, of which such a step has no need."""
    counter = CompileCounter()
    layer = torch.compile(Linear(8, 5).double(), dynamic=True, backend=counter)
    for count in range(20, 28):
        layer(torch.randn(count, 8, dtype=torch.float64))
    assert counter.frame_count == 1
