"""R-Drop's loss and gradient against the paper's formula, in float64."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.training.test_loss import (
    PAD,
    by_hand,
    chain_of_operations,
    check_rounded_once,
    example,
    gradient_of,
)
from training.loss import smoothed_cross_entropy
from training.r_drop import r_drop_loss


def two_passes(seed: int = 0, vocabulary: int = 11) -> tuple[Tensor, Tensor]:
    """Logits of one batch with two dropouts, one below the other, and the batch's targets."""
    first, targets = example(seed, vocabulary=vocabulary)
    return torch.cat((first, first + torch.randn(first.shape) * 0.5)), targets


def disagreement_by_hand(logits: Tensor, targets: Tensor) -> float:
    """KL(p1, p2) + KL(p2, p1) at every real position, in float64; then their mean."""
    first, second = logits.double().log_softmax(-1).chunk(2)
    sums = []
    for row, position in np.ndindex(*targets.shape):
        if targets[row, position] != PAD:
            p, q = first[row, position], second[row, position]
            sums.append(float((p.exp() * (p - q)).sum() + (q.exp() * (q - p)).sum()))
    return float(np.mean(sums))


def paper(logits: Tensor, targets: Tensor, smoothing: float, alpha: float) -> Tensor:
    """Half of equation 4, as torch makes it of the formula."""
    entropy = chain_of_operations(logits, targets.repeat(2, 1), smoothing)
    first, second = logits.log_softmax(-1).chunk(2)
    both = ((first.exp() - second.exp()) * (first - second)).sum(-1)[targets != PAD]
    return entropy + alpha / 4 * both.mean()


@given(seed=st.integers(0, 1000), alpha=st.sampled_from([0.5, 5.0]))
def test_it_is_half_its_papers_formula(seed: int, alpha: float) -> None:
    logits, targets = two_passes(seed)
    first, second = (by_hand(part, targets, 0.1) for part in logits.chunk(2))
    loss, entropy = r_drop_loss(logits, targets, PAD, 0.1, alpha)
    assert float(entropy) == pytest.approx((first + second) / 2, rel=1e-5)
    whole = first + second + alpha / 2 * disagreement_by_hand(logits, targets)  # equation 4
    assert float(loss) == pytest.approx(whole / 2, rel=1e-4)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("chunk", [1, 40, 1 << 18])  # of one position, of several with a rest, of all
def test_the_gradient_is_that_of_the_formula_whatever_the_chunks(
    smoothing: float, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.loss.CHUNK_ON_CPU", chunk)
    logits, targets = two_passes()
    exact = logits.double().requires_grad_()
    wanted = paper(exact, targets, smoothing, 5.0)
    leaf = logits.clone().requires_grad_()
    found, entropy = r_drop_loss(leaf, targets, PAD, smoothing, 5.0)
    assert not entropy.requires_grad
    torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-6)
    gradient = gradient_of(3 * found, leaf).double()
    torch.testing.assert_close(gradient, 3 * gradient_of(wanted, exact), rtol=1e-4, atol=1e-6)


def test_half_precision_gradients_are_rounded_once() -> None:
    logits, targets = two_passes(vocabulary=5000)
    check_rounded_once(
        logits,
        lambda given: r_drop_loss(given, targets, PAD, 0.1, 5.0)[0],
        lambda given: paper(given, targets, 0.1, 5.0),
    )


def test_passes_that_agree_cost_nothing_beside_the_cross_entropy() -> None:
    logits, targets = example()
    loss, entropy = r_drop_loss(logits.repeat(2, 1, 1), targets, PAD, 0.1, 5.0)
    torch.testing.assert_close(loss, smoothed_cross_entropy(logits, targets, PAD, 0.1))
    torch.testing.assert_close(entropy, loss)


def test_it_pulls_the_passes_together_and_leaves_padding_alone() -> None:
    logits, targets = two_passes()
    leaf = logits.clone().requires_grad_()
    torch.autograd.backward(r_drop_loss(leaf, targets, PAD, 0.0, 100.0)[0])
    assert leaf.grad is not None
    closer = logits - 0.1 * leaf.grad
    assert disagreement_by_hand(closer, targets) < disagreement_by_hand(logits, targets)
    assert leaf.grad.view(2, *logits.chunk(2)[0].shape)[:, 1, 2:].abs().max() == 0


def test_the_logits_stay_as_they_were_and_a_look_wants_no_gradient() -> None:
    logits, targets = two_passes()
    before = logits.clone()
    with torch.no_grad():
        seen, _ = r_drop_loss(logits, targets, PAD, 0.1, 5.0)
    learned, _ = r_drop_loss(logits.requires_grad_(), targets, PAD, 0.1, 5.0)
    assert torch.equal(logits, before)
    assert torch.equal(seen, learned)
