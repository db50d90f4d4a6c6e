"""The loss against its formula, computed by hand in float64."""

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from training.loss import LossTrial, WeightedLoss, chosen_loss, smoothed_cross_entropy

PAD = 0


def by_hand(logits: Tensor, targets: Tensor, smoothing: float) -> float:
    """-sum_v q(v) log p(v) at every real position, in float64, one number at a time; then their mean."""
    scores, wanted = logits.numpy().astype(np.float64), targets.numpy()
    losses = []
    for row, position in np.ndindex(*wanted.shape):
        if wanted[row, position] == PAD:
            continue
        line = scores[row, position]
        log_p = line - line.max() - math.log(np.exp(line - line.max()).sum())
        q = np.full(len(line), smoothing / len(line))
        q[wanted[row, position]] += 1 - smoothing
        losses.append(-(q * log_p).sum())
    return float(np.mean(losses))


def example(seed: int = 0, batch: int = 3, length: int = 5, vocabulary: int = 11) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, length, vocabulary, generator=generator) * 4
    targets = torch.randint(1, vocabulary, (batch, length), generator=generator)
    targets[1, 2:] = PAD
    return logits, targets


@given(seed=st.integers(0, 1000), smoothing=st.sampled_from([0.0, 0.1, 0.5, 0.99]))
def test_it_is_the_formula(seed: int, smoothing: float) -> None:
    logits, targets = example(seed)
    found = float(smoothed_cross_entropy(logits, targets, PAD, smoothing))
    assert found == pytest.approx(by_hand(logits, targets, smoothing), rel=1e-5)


def test_it_averages_over_tokens_not_over_sentences() -> None:
    logits, targets = example()
    rows = [smoothed_cross_entropy(logits[i : i + 1], targets[i : i + 1], PAD, 0.1) for i in range(3)]
    weighted = (5 * rows[0] + 2 * rows[1] + 5 * rows[2]) / 12
    found = smoothed_cross_entropy(logits, targets, PAD, 0.1)
    torch.testing.assert_close(found, weighted)
    assert not torch.allclose(found, torch.stack(rows).mean())


def test_padding_counts_neither_in_the_loss_nor_in_the_gradient() -> None:
    logits, targets = example()
    before = smoothed_cross_entropy(logits, targets, PAD, 0.1)
    disturbed = logits.clone()
    disturbed[1, 2:] = 1e4
    assert torch.equal(before, smoothed_cross_entropy(disturbed, targets, PAD, 0.1))
    leaf = logits.clone().requires_grad_()
    torch.autograd.backward(smoothed_cross_entropy(leaf, targets, PAD, 0.1))
    assert leaf.grad is not None
    assert leaf.grad[1, 2:].abs().max() == 0
    assert leaf.grad[1, :2].abs().min() > 0


def test_more_padding_changes_nothing() -> None:
    logits, targets = example()
    wider = torch.cat((targets, torch.full((3, 4), PAD)), 1)
    more = torch.cat((logits, torch.randn(3, 4, 11)), 1)
    torch.testing.assert_close(
        smoothed_cross_entropy(more, wider, PAD, 0.1), smoothed_cross_entropy(logits, targets, PAD, 0.1)
    )


def test_half_precision_logits_are_summed_in_single_precision() -> None:
    logits, targets = example(vocabulary=5000)
    found = smoothed_cross_entropy(logits.bfloat16(), targets, PAD, 0.1)
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(by_hand(logits.bfloat16().float(), targets, 0.1), rel=1e-5)


def gradient_of(loss: Tensor, logits: Tensor) -> Tensor:
    (found,) = torch.autograd.grad(loss, logits)
    return found


def chain_of_operations(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """What torch makes of the formula."""
    flat, wanted = logits.flatten(0, -2), targets.flatten()
    return F.cross_entropy(flat, wanted, ignore_index=PAD, label_smoothing=smoothing)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("chunk", [1, 40, 1 << 18])  # of one position, of several with a rest, of all
def test_the_gradient_is_that_of_the_formula_whatever_the_chunks(
    smoothing: float, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.loss.CHUNK_ON_CPU", chunk)
    logits, targets = example()
    logits.requires_grad_()
    wanted = chain_of_operations(logits, targets, smoothing)
    found = smoothed_cross_entropy(logits, targets, PAD, smoothing)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(gradient_of(found, logits), gradient_of(wanted, logits))


def test_a_factor_on_the_loss_scales_the_gradient() -> None:
    logits, targets = example()
    logits.requires_grad_()
    once = gradient_of(smoothed_cross_entropy(logits, targets, PAD, 0.1), logits)
    scaled = gradient_of(smoothed_cross_entropy(logits, targets, PAD, 0.1) * 0.25, logits)
    torch.testing.assert_close(scaled, once * 0.25)


def check_rounded_once(
    logits: Tensor, found: Callable[[Tensor], Tensor], formula: Callable[[Tensor], Tensor]
) -> None:
    """The gradient of bfloat16 logits is that of the formula in float64, rounded."""
    half = logits.bfloat16().requires_grad_()
    gradient = gradient_of(found(half), half)
    exact = half.detach().double().requires_grad_()
    assert gradient.dtype == torch.bfloat16
    wanted = gradient_of(formula(exact), exact)
    torch.testing.assert_close(gradient.double(), wanted, rtol=2**-8, atol=1e-10)


def test_half_precision_gradients_are_rounded_once() -> None:
    logits, targets = example(vocabulary=5000)
    check_rounded_once(
        logits,
        lambda given: smoothed_cross_entropy(given, targets, PAD, 0.1),
        lambda given: chain_of_operations(given, targets, 0.1),
    )


def test_the_logits_stay_as_they_were() -> None:
    logits, targets = example()
    before = logits.clone()
    smoothed_cross_entropy(logits.requires_grad_(), targets, PAD, 0.1)
    assert torch.equal(logits, before)


def test_very_certain_logits_give_a_finite_loss() -> None:
    logits, targets = example()
    found = float(smoothed_cross_entropy(logits * 1e4, targets, PAD, 0.1))
    assert found == pytest.approx(by_hand(logits * 1e4, targets, 0.1), rel=1e-5)


def test_a_loss_is_not_rounded_where_the_network_computes_in_16_bits() -> None:
    """As a look at the dev text asks for it."""
    logits, targets = example(seed=8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = smoothed_cross_entropy(logits, targets, PAD, 0.1)
    assert torch.equal(found, smoothed_cross_entropy(logits, targets, PAD, 0.1))


@pytest.mark.parametrize("outside", [torch.no_grad, torch.inference_mode])
def test_kernels_are_tried_with_gradients_whoever_asks_first(outside: Callable[[], Any]) -> None:
    with outside():
        assert LossTrial(torch.device("cpu"), torch.float32)(WeightedLoss, WeightedLoss) == 0


class _Wrong(WeightedLoss):
    @staticmethod
    def forward(*asked: Any) -> Tensor:
        return WeightedLoss.forward(*asked) + 0.01


def test_kernels_that_answer_otherwise_would_show_and_without_any_the_plain_way_is_taken(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They are interpreted and compiled by tests/model/cuda/test_ways.py."""
    trial = LossTrial(torch.device("cpu"), torch.float32)
    assert trial(WeightedLoss, WeightedLoss) == 0
    assert trial(_Wrong, WeightedLoss) == pytest.approx(0.01, abs=1e-5)
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.delitem(sys.modules, "training.loss_kernels", raising=False)
    assert chosen_loss.__wrapped__(torch.device("cuda"), torch.bfloat16) is WeightedLoss
    assert "the loss without its own kernels: ModuleNotFoundError" in caplog.text
