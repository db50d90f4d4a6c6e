"""Dropout's share, scale, independence and gradient; a seed decides all of it."""

import pytest
import torch
from torch import Tensor

from model.dropout import Dropout, drop


def ones(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.ones(shape, dtype=dtype)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9])
def test_so_many_are_dropped_and_the_sum_is_expected_to_stay(share: float) -> None:
    torch.manual_seed(1)
    found = drop(ones(1000, 1000), share)
    assert float((found == 0).float().mean()) == pytest.approx(share, abs=0.002)
    assert float(found.double().mean()) == pytest.approx(1, rel=0.01)
    assert found[found > 0].unique().tolist() == pytest.approx([1 / (1 - share)], rel=1e-4)


def test_neighbours_fall_independently_of_each_other() -> None:
    torch.manual_seed(2)
    dropped = (drop(ones(1_000_000), 0.5) == 0).float() - 0.5
    for distance in range(1, 9):  # four neighbours share one draw
        together = float((dropped[:-distance] * dropped[distance:]).mean())
        assert together == pytest.approx(0, abs=0.001)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (5, 7), (2, 3, 5), (0, 4)])
def test_any_shape_is_kept(shape: tuple[int, ...]) -> None:
    assert drop(torch.ones(shape), 0.5).shape == shape


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_the_type_of_the_numbers_is_kept(dtype: torch.dtype) -> None:
    assert drop(ones(4, 4, dtype=dtype), 0.5).dtype == dtype


def test_the_gradient_passes_where_the_number_did() -> None:
    x = torch.rand(40, 50, requires_grad=True)
    found = drop(x, 0.25)
    torch.autograd.backward(found.sum())
    assert x.grad is not None
    torch.testing.assert_close(x.grad * x.detach(), found.detach())


def test_a_seed_decides_what_is_dropped() -> None:
    def drawn(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return torch.cat((drop(ones(50), 0.5), drop(ones(50), 0.5)))

    assert torch.equal(drawn(3), drawn(3))
    assert not torch.equal(drawn(3), drawn(4))
    assert not torch.equal(drawn(3)[:50], drawn(3)[50:])


def test_a_share_that_rounds_to_everything_still_keeps_a_finite_number() -> None:
    assert drop(ones(100), 1 - 1e-9).isfinite().all()


def test_nothing_is_dropped_and_nothing_drawn_in_inference_or_at_a_share_of_zero() -> None:
    state, x = torch.get_rng_state(), ones(10)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x
    assert torch.equal(torch.get_rng_state(), state)
    assert (Dropout(0.9)(ones(100)) == 0).any()


def test_it_can_be_compiled() -> None:
    torch.manual_seed(5)
    found = torch.compile(drop, backend="aot_eager", fullgraph=True)(ones(100, 100), 0.5)
    assert 0.45 < float((found == 0).float().mean()) < 0.55
    torch.compiler.reset()
