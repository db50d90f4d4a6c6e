"""Attention against PyTorch's own and against the paper's equations in float64 NumPy."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model import attention as module
from model.attention import MultiHeadAttention, attention
from model.masks import causal_mask
from tests.model import equations
from tests.model.closeness import distance

EXACT = 1e-12  # float64
MASKS = ["none", "causal", "padding", "causal and padding"]


def heads(seed: int, num_queries: int, num_keys: int, head_width: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    """Random queries [2, 3, Q, K], keys and values [2, 3, S, K] in float64."""
    rng = torch.Generator().manual_seed(seed)
    shapes = (num_queries, num_keys, num_keys)
    query, key, value = (
        torch.randn(2, 3, n, head_width, generator=rng, dtype=torch.float64) * 2 for n in shapes
    )
    return query, key, value


def mask_of(kind: str, num_queries: int, num_keys: int) -> Tensor | None:
    """Broadcastable to [2, 3, Q, S]; with padding the second sentence has lost its last two keys."""
    causal = causal_mask(max(num_queries, num_keys))[:num_queries, :num_keys]
    real = torch.ones(2, 1, 1, num_keys, dtype=torch.bool)
    real[1, ..., -2:] = False
    return {"none": None, "causal": causal, "padding": real, "causal and padding": causal & real}[kind]


def spelled_out(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    return attention(query.clone().requires_grad_(), key, value, mask)


def fused(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    return attention(query, key, value, mask)


BOTH_PATHS = pytest.mark.parametrize("path", [spelled_out, fused])
Path = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]


def refuse(*_: object, **__: object) -> Tensor:
    raise AssertionError("this path was not to be taken")


def test_on_a_cpu_gradients_take_the_spelled_out_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(F, "scaled_dot_product_attention", refuse)
    assert spelled_out(*heads(0, 2, 2), None).requires_grad


def test_without_gradients_the_fused_path_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_spelled_out", refuse)
    assert not fused(*heads(0, 2, 2), None).requires_grad


@BOTH_PATHS
@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize(("num_queries", "num_keys"), [(5, 5), (1, 7), (6, 3)])
def test_attention_is_equation_1(path: Path, kind: str, num_queries: int, num_keys: int) -> None:
    query, key, value = heads(1, num_queries, num_keys)
    mask = mask_of(kind, num_queries, num_keys)
    shape = (2, 3, num_queries, num_keys)
    as_numbers = None if mask is None else mask.expand(shape).double().numpy()
    expected = equations.attention(query.numpy(), key.numpy(), value.numpy(), as_numbers)

    assert distance(path(query, key, value, mask), expected) < EXACT


@BOTH_PATHS
@pytest.mark.parametrize("kind", MASKS)
def test_attention_is_pytorchs(path: Path, kind: str) -> None:
    query, key, value = heads(2, 5, 5)
    mask = mask_of(kind, 5, 5)

    expected = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    assert distance(path(query, key, value, mask), expected) < EXACT


def gradients(compute: Path, inputs: tuple[Tensor, Tensor, Tensor], mask: Tensor | None) -> list[Tensor]:
    """Of an uneven sum of the result, by query, key and value."""
    leaves = [tensor.clone().requires_grad_() for tensor in inputs]
    out = compute(leaves[0], leaves[1], leaves[2], mask)
    uneven = torch.arange(out.numel(), dtype=out.dtype).view_as(out).sin()
    return list(torch.autograd.grad((out * uneven).sum(), leaves))


@pytest.mark.parametrize("kind", MASKS)
def test_both_paths_have_the_same_gradients(kind: str) -> None:
    inputs, mask = heads(3, 5, 5), mask_of(kind, 5, 5)

    def pytorchs(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)

    for ours, theirs in zip(
        gradients(attention, inputs, mask), gradients(pytorchs, inputs, mask), strict=True
    ):
        assert distance(ours, theirs) < EXACT


def test_scores_of_wide_heads_are_divided_by_the_square_root_of_their_width() -> None:
    query = torch.full((1, 1, 1, 64), 1.0)
    key = torch.stack((torch.zeros(64), torch.full((64,), 0.25)))[None, None]
    weights = attention(query, key, torch.eye(2)[None, None], None)[0, 0, 0]

    expected = torch.tensor([0.0, 64 * 0.25 / 8]).softmax(0)  # a dot product of 16 over sqrt(64)
    assert distance(weights, expected) < 1e-6


@BOTH_PATHS
def test_what_is_masked_does_not_count_bit_for_bit(path: Path) -> None:
    query, key, value = heads(5, 4, 6)
    mask = mask_of("padding", 4, 6)
    before = path(query, key, value, mask)
    key[1, :, -2:], value[1, :, -2:] = 1e30, -1e30

    assert torch.equal(path(query, key, value, mask), before)


@pytest.mark.parametrize("with_gradients", [True, False])
def test_dropout_drops_weights_and_scales_the_others(with_gradients: bool) -> None:
    torch.manual_seed(0)
    query, key, _ = heads(6, 50, 20)
    query.requires_grad_(with_gradients)
    seen = torch.eye(20, dtype=torch.float64).expand(2, 3, 20, 20)  # the values show the weights
    weights = attention(query.detach(), key, seen, None)
    dropped = attention(query, key, seen, None, dropout=0.25).detach()

    kept = dropped != 0
    assert kept.double().mean() == pytest.approx(0.75, abs=0.03)
    assert distance(dropped[kept], weights[kept] / 0.75) < EXACT


def multi_head(dropout: float = 0.0) -> MultiHeadAttention:
    torch.manual_seed(0)
    block = MultiHeadAttention(12, 3, dropout).double()
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.5)
    return block


def pytorchs_multi_head(block: MultiHeadAttention) -> nn.MultiheadAttention:
    """PyTorch's module with the same weights."""
    theirs = nn.MultiheadAttention(12, 3, batch_first=True, dtype=torch.float64)
    inputs = (block.query, block.key, block.value)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([linear.weight for linear in inputs]))
        theirs.in_proj_bias.copy_(torch.cat([linear.bias for linear in inputs]))
        theirs.out_proj.weight.copy_(block.output.weight)
        theirs.out_proj.bias.copy_(block.output.bias)
    return theirs


def sentences(seed: int, count: int) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(2, count, 12, generator=rng, dtype=torch.float64)


@pytest.mark.parametrize("with_gradients", [True, False])
def test_self_attention_is_pytorchs_module(with_gradients: bool) -> None:
    block, x, mask = multi_head(), sentences(1, 5), causal_mask(5)
    with torch.set_grad_enabled(with_gradients):
        ours = block(x, x, mask)
        theirs, _ = pytorchs_multi_head(block)(x, x, x, attn_mask=~mask, need_weights=False)

    assert distance(ours, theirs) < EXACT


@pytest.mark.parametrize("with_gradients", [True, False])
def test_cross_attention_is_pytorchs_module(with_gradients: bool) -> None:
    block, x, memory = multi_head(), sentences(2, 4), sentences(3, 6)
    real = torch.arange(6) < torch.tensor([[6], [4]])
    with torch.set_grad_enabled(with_gradients):
        ours = block(x, memory, real[:, None, None])
        theirs, _ = pytorchs_multi_head(block)(x, memory, memory, key_padding_mask=~real, need_weights=False)

    assert distance(ours, theirs) < EXACT


@pytest.mark.parametrize("with_gradients", [True, False])
def test_multi_head_attention_is_section_3_2_2(with_gradients: bool) -> None:
    block, x, memory = multi_head(), sentences(4, 4), sentences(5, 6)
    weights = equations.weights_of(block.state_dict())
    with torch.set_grad_enabled(with_gradients):
        actual = block(x, memory, None)

    for ours, a, b in zip(actual, x.numpy(), memory.numpy(), strict=True):
        assert distance(ours, equations.multi_head(weights, 3, a, b)) < EXACT


def test_multi_head_attention_drops_out_only_in_training() -> None:
    block, x = multi_head(dropout=0.5), sentences(6, 5)

    assert torch.equal(block.eval()(x, x, None), multi_head()(x, x, None))
    assert not torch.allclose(block.train()(x, x, None), multi_head()(x, x, None))


def test_splitting_into_heads_keeps_neighbouring_columns_together() -> None:
    x = torch.arange(24.0, dtype=torch.float64).view(1, 2, 12)
    split = multi_head().split_heads(x)

    assert split.shape == (1, 3, 2, 4)
    assert split[0, 1, 0].tolist() == [4, 5, 6, 7]
    assert torch.equal(split.transpose(1, 2).flatten(-2), x)
