"""A layer that learns: values and gradients are those of a plain linear layer, whatever the shapes."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from model.linear import Linear
from model.training_product import takes, training_product

SIZES = st.integers(1, 40)


def gradients(out: Tensor, factor: Tensor, *leaves: Tensor | None) -> list[Tensor]:
    (out * factor).sum().backward()
    found = [leaf.grad for leaf in leaves if leaf is not None]
    for leaf in leaves:
        if leaf is not None:
            leaf.grad = None
    return [one for one in found if one is not None]


@given(
    rows=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    inputs=SIZES,
    outputs=SIZES,
    bias=st.booleans(),
    step=st.sampled_from([1, 2]),
    seed=st.integers(0, 99),
)
def test_values_and_gradients_are_those_of_a_plain_layer(
    rows: list[int], inputs: int, outputs: int, bias: bool, step: int, seed: int
) -> None:
    """With `step` 2 the input is every second number; the output's gradient is laid crosswise."""
    torch.manual_seed(seed)
    layer, x = Linear(inputs, outputs, bias=bias), torch.randn(*rows, inputs * step)[..., ::step]
    x.requires_grad_()
    factor = torch.randn(outputs, *rows).movedim(0, -1)
    assert takes(x, layer.weight)
    got, plain = layer(x), F.linear(x, layer.weight, layer.bias)
    torch.testing.assert_close(got, plain)
    leaves = (x, layer.weight, layer.bias)
    for one, other in zip(gradients(got, factor, *leaves), gradients(plain, factor, *leaves), strict=True):
        torch.testing.assert_close(one, other, atol=2e-5, rtol=2e-5)


def test_only_what_is_asked_for_is_made() -> None:
    """A first layer's input wants no gradient, a frozen bias neither."""
    x, weight, bias = torch.randn(3, 4), torch.randn(5, 4, requires_grad=True), torch.randn(5)
    training_product(x, weight, bias).sum().backward()  # type: ignore[no-untyped-call]
    assert weight.grad is not None
    assert x.grad is None
    assert bias.grad is None


def test_the_same_product_gives_the_same_bits() -> None:
    """A run that is stopped and resumed ends with the weights of one that is not."""
    torch.manual_seed(0)
    x, layer = torch.randn(70, 64, requires_grad=True), Linear(64, 48)
    first, second = (gradients(layer(x), torch.ones(70, 48), x, layer.weight) for _ in range(2))
    assert all(map(torch.equal, first, second))


@pytest.mark.parametrize("why", ["float64", "no gradient", "frozen", "autocast", "empty"])
def test_what_is_not_its_own_goes_the_plain_way(why: str) -> None:
    x, layer = torch.randn(0 if why == "empty" else 3, 8, requires_grad=True), Linear(8, 5)
    if why == "float64":
        x, layer = x.detach().double().requires_grad_(), layer.double()
    if why == "frozen":
        layer.weight.requires_grad_(False)
    rounded = torch.autocast("cpu", torch.bfloat16, enabled=why == "autocast")
    with torch.no_grad() if why == "no gradient" else nullcontext(), rounded:
        assert not takes(x, layer.weight)
        out = layer(x)
    assert out.dtype == {"float64": torch.float64, "autocast": torch.bfloat16}.get(why, torch.float32)
    assert torch.equal(out.detach().float(), _plainly(x, layer, why).float())


def _plainly(x: Tensor, layer: Linear, why: str) -> Tensor:
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=why == "autocast"):
        return F.linear(x, layer.weight, layer.bias)
