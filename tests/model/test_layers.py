"""Layers against PyTorch's own with the same weights, and the order of sublayers and norms."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import pytest
import torch
from torch import Tensor, nn

from model.attention import MultiHeadAttention
from model.layers import DecoderLayer, EncoderLayer, FeedForward, Residual
from model.masks import causal_mask
from tests.builders import tiny_config
from tests.model import equations
from tests.model.closeness import distance

EXACT = 1e-12  # float64
NORMS = pytest.mark.parametrize("norm", ["post", "pre"])


Block = TypeVar("Block", bound=nn.Module)


def randomised(block: Block) -> Block:
    """In float64 and eval mode, with no weight at the value (zero or one) that would hide a mistake."""
    torch.manual_seed(0)
    for parameter in block.double().parameters():
        nn.init.normal_(parameter, mean=0.1, std=0.3)
    return block.eval()


def vectors(seed: int, count: int, width: int = 32) -> Tensor:
    """Two sentences [2, count, width] in float64."""
    return torch.randn(2, count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_feed_forward_is_equation_2() -> None:
    block, x = randomised(FeedForward(tiny_config(), 48)), vectors(1, 5)
    expected = equations.feed_forward(equations.weights_of(block.state_dict()), x.numpy())

    assert distance(block(x), expected) < EXACT


def gelu(x: float) -> float:
    """Hendrycks and Gimpel 2016: x times the probability that a standard normal number is below x."""
    return x * (1 + math.erf(x / math.sqrt(2))) / 2


ACTIVATIONS: dict[str, Callable[[float], float]] = {
    "relu": lambda x: max(0.0, x),
    "gelu": gelu,
    "silu": lambda x: x / (1 + math.exp(-x)),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_activation_stands_between_the_two_matrices(name: str) -> None:
    block, x = randomised(FeedForward(tiny_config(activation=name), 48)), vectors(2, 3)
    inner = block.inner(x)
    activated = torch.tensor([ACTIVATIONS[name](value) for value in inner.flatten().tolist()]).double()

    assert distance(block(x), block.outer(activated.view_as(inner))) < 1e-6


def test_each_position_is_fed_forward_alone() -> None:
    block, x = randomised(FeedForward(tiny_config(), 48)), vectors(3, 5)
    assert distance(block(x)[:, 2:3], block(x[:, 2:3])) < EXACT


def test_activation_dropout_acts_between_the_matrices_in_training() -> None:
    block, x = randomised(FeedForward(tiny_config(activation_dropout=0.5), 48)), vectors(4, 3)
    nn.init.zeros_(block.outer.weight)  # without what is between, only the last bias is left
    assert distance(block.train()(x), block.outer.bias.expand_as(x)) == 0.0

    block = randomised(block)
    assert distance(block.train()(x), block.eval()(x)) > 0.01


@pytest.mark.parametrize(("norm", "expected"), [("post", "LN(x + f(x))"), ("pre", "x + f(LN(x))")])
def test_a_residual_normalises_where_its_name_says(norm: str, expected: str) -> None:
    block, x = randomised(Residual(tiny_config(norm=norm))), vectors(5, 4)
    values = {"LN(x + f(x))": block.norm(x + x.sin()), "x + f(LN(x))": x + block.norm(x).sin()}

    assert distance(block(x, torch.sin), values[expected]) < EXACT


@NORMS
def test_residual_dropout_spares_what_passes_by(norm: str) -> None:
    block, x = Residual(tiny_config(norm=norm, dropout=0.5)).double(), vectors(6, 50)
    block.norm = nn.Identity()  # type: ignore[assignment]
    added = block.train()(x, torch.ones_like) - x

    assert set(added.flatten().round(decimals=9).tolist()) == {0.0, 2.0}
    assert added.mean().item() == pytest.approx(1.0, abs=0.1)


def copy_attention(ours: MultiHeadAttention, theirs: nn.MultiheadAttention) -> None:
    inputs = (ours.query, ours.key, ours.value)
    theirs.in_proj_weight.copy_(torch.cat([linear.weight for linear in inputs]))
    theirs.in_proj_bias.copy_(torch.cat([linear.bias for linear in inputs]))
    theirs.out_proj.load_state_dict(ours.output.state_dict())


def pytorchs_encoder_layer(ours: EncoderLayer, norm: str, activation: str) -> nn.TransformerEncoderLayer:
    """PyTorch's layer with the same weights."""
    first = norm == "pre"
    theirs = nn.TransformerEncoderLayer(32, 4, 64, 0.0, activation, batch_first=True, norm_first=first)
    theirs.double()
    with torch.no_grad():
        copy_attention(ours.self_attention, theirs.self_attn)
    theirs.linear1.load_state_dict(ours.feed_forward.inner.state_dict())
    theirs.linear2.load_state_dict(ours.feed_forward.outer.state_dict())
    theirs.norm1.load_state_dict(ours.after_self.norm.state_dict())
    theirs.norm2.load_state_dict(ours.after_feed.norm.state_dict())
    return theirs


def pytorchs_decoder_layer(ours: DecoderLayer, norm: str, activation: str) -> nn.TransformerDecoderLayer:
    """PyTorch's layer with the same weights."""
    first = norm == "pre"
    theirs = nn.TransformerDecoderLayer(32, 4, 64, 0.0, activation, batch_first=True, norm_first=first)
    theirs.double()
    with torch.no_grad():
        copy_attention(ours.self_attention, theirs.self_attn)
        copy_attention(ours.cross_attention, theirs.multihead_attn)
    theirs.linear1.load_state_dict(ours.feed_forward.inner.state_dict())
    theirs.linear2.load_state_dict(ours.feed_forward.outer.state_dict())
    theirs.norm1.load_state_dict(ours.after_self.norm.state_dict())
    theirs.norm2.load_state_dict(ours.after_cross.norm.state_dict())
    theirs.norm3.load_state_dict(ours.after_feed.norm.state_dict())
    return theirs


@NORMS
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_an_encoder_layer_is_pytorchs(norm: str, activation: str) -> None:
    layer, x = randomised(EncoderLayer(tiny_config(norm=norm, activation=activation))), vectors(7, 5)
    real = torch.arange(5) < torch.tensor([[5], [3]])
    theirs = pytorchs_encoder_layer(layer, norm, activation)(x, src_key_padding_mask=~real)

    assert distance(layer(x, real[:, None, None])[real], theirs[real]) < EXACT


@NORMS
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_a_decoder_layer_is_pytorchs(norm: str, activation: str) -> None:
    layer = randomised(DecoderLayer(tiny_config(norm=norm, activation=activation)))
    x, memory, causal = vectors(8, 4), vectors(9, 6), causal_mask(4)
    real = torch.arange(6) < torch.tensor([[6], [2]])
    theirs = pytorchs_decoder_layer(layer, norm, activation)
    expected = theirs(x, memory, tgt_mask=~causal, memory_key_padding_mask=~real)

    assert distance(layer(x, memory, causal, real[:, None, None]), expected) < EXACT


@NORMS
@pytest.mark.parametrize("with_gradients", [True, False])
@pytest.mark.parametrize("changed", [1, 3, 5])
def test_a_decoder_layer_never_looks_ahead_bit_for_bit(norm: str, with_gradients: bool, changed: int) -> None:
    layer = randomised(DecoderLayer(tiny_config(norm=norm))).float()
    x, memory = vectors(10, 6).float(), vectors(11, 4).float()
    other = x.clone()
    other[:, changed] += 3.0
    mask = torch.ones(2, 1, 1, 4, dtype=torch.bool)
    with torch.set_grad_enabled(with_gradients):
        before, after = (layer(y, memory, causal_mask(6), mask) for y in (x, other))

    assert torch.equal(before[:, :changed], after[:, :changed])
    assert not torch.equal(before[:, changed:], after[:, changed:])


def test_sides_may_have_their_own_heads_and_widths() -> None:
    config = tiny_config(num_encoder_heads=2, num_decoder_heads=8, encoder_ffn_dim=10, decoder_ffn_dim=20)
    encoder, decoder = EncoderLayer(config), DecoderLayer(config)

    assert (encoder.self_attention.num_heads, encoder.feed_forward.inner.out_features) == (2, 10)
    assert (decoder.self_attention.num_heads, decoder.feed_forward.inner.out_features) == (8, 20)
    assert decoder.cross_attention.num_heads == 8
