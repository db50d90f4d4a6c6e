"""The 8-bit copy computes what it says, row by row, and decodes; the network it came from stays untouched."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from model.decoding import DecodingOptions
from model.decoding.search import decode_batch
from model.int8 import Int8Linear, int8_copy
from tests.builders import tiny_model


def emulated(layer: nn.Linear, x: Tensor) -> Tensor:
    """The same quantisation in float64, every sum exact: no packing, no offset, no integer kernel."""

    def quantised(values: Tensor) -> tuple[Tensor, Tensor]:
        scales = (values.abs().amax(-1, keepdim=True) / 127).clamp_min(1e-12)
        return torch.round(values / scales).double(), scales.double()

    (rows, row_scales), (weights, scales) = quantised(x), quantised(layer.weight.detach())
    bias = 0 if layer.bias is None else layer.bias.double()
    return (rows @ weights.T) * row_scales * scales[:, 0] + bias


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("outputs", "inputs"), [(32, 32), (64, 256), (256, 1024), (300, 48)], ids=str)
@torch.no_grad()
def test_a_layer_is_its_quantisation_computed_exactly(outputs: int, inputs: int, bias: bool) -> None:
    torch.manual_seed(outputs)
    layer = nn.Linear(inputs, outputs, bias=bias)
    layer.weight[3] = 0.0
    x = torch.randn(5, 7, inputs) * torch.logspace(-2, 2, 7)[:, None]
    expected = emulated(layer, x)
    distance = (Int8Linear(layer)(x).double() - expected).abs() / expected.abs().amax(-1, keepdim=True)
    assert distance.max() < 1e-5


@torch.no_grad()
def test_the_largest_values_of_both_signs_do_not_overflow() -> None:
    layer = nn.Linear(1024, 16, bias=False)
    layer.weight.fill_(1.0)
    x = torch.ones(4, 1024) * torch.tensor([1.0, -1.0, 3.0, -3.0])[:, None]
    assert torch.allclose(Int8Linear(layer)(x), x.sum(1, keepdim=True).expand(4, 16), rtol=1e-5)


@torch.no_grad()
def test_a_row_of_zeros_gives_the_bias() -> None:
    layer = nn.Linear(16, 8)
    assert torch.equal(Int8Linear(layer)(torch.zeros(2, 16)), layer.bias.expand(2, 8))


@torch.no_grad()
def test_a_row_has_the_same_bits_alone_and_among_others() -> None:
    torch.manual_seed(0)
    layer, rows = Int8Linear(nn.Linear(256, 300)), torch.randn(70, 256)
    together = layer(rows)
    for count in (1, 2, 3, 5, 17, 64):
        assert torch.equal(layer(rows[:count]), together[:count])


@torch.no_grad()
def test_the_weights_it_stands_for_are_within_half_a_step_of_the_trained_ones() -> None:
    layer = nn.Linear(64, 32)
    prepared = Int8Linear(layer)
    assert ((prepared.weight - layer.weight).abs() <= 0.501 * prepared.scales[:, None]).all()


@pytest.mark.parametrize("tie_output", [True, False])
def test_a_copy_decodes_and_the_trained_network_is_untouched(tie_output: bool) -> None:
    model = tiny_model(2, tie_output=tie_output)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    prepared = int8_copy(model)
    sources = [[5, 6, 7, 3], [9, 3], [4, 8, 12, 16, 20, 3]]
    answers = decode_batch(prepared, sources, DecodingOptions(beam_size=3, min_length=2, max_length=12))
    assert all(hypotheses[0].token_ids for hypotheses in answers)
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(isinstance(layer, nn.Linear) for layer in prepared.modules())


def test_alone_is_batched_in_eight_bits_too() -> None:
    prepared = int8_copy(tiny_model(3))
    sources = [[5, 6, 7, 3], [9, 3], [4, 8, 12, 16, 20, 3], [7, 7, 3]]
    options = DecodingOptions(strategy="greedy", max_length=20)
    together = decode_batch(prepared, sources, options)
    assert together == [decode_batch(prepared, [source], options)[0] for source in sources]


def test_what_is_not_float32_on_the_cpu_is_refused() -> None:
    with pytest.raises(ValueError, match=r"float32 on the CPU, got torch\.bfloat16"):
        int8_copy(copy.deepcopy(tiny_model(0)).to(torch.bfloat16))
