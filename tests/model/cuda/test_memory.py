"""Memory is counted before it is taken, and a device that is too small is refused in numbers."""

from __future__ import annotations

import pytest
import torch

from model.config import ModelConfig
from model.cuda.memory import check_fits, plan
from model.cuda.network import CudaNetwork
from model.devices import DeviceError
from tests.builders import tiny_model

GIB = 2**30


def test_what_is_planned_is_what_is_allocated() -> None:
    model = tiny_model(0)
    network = CudaNetwork(model, device="cpu", dtype=torch.float32, max_rows=6)
    pools = network._work._pools
    held = sum(pool.numel() * pool.element_size() for pool in (pools.targets, pools.sources))
    weights = network._work.weights.num_bytes + 4 * model.num_parameters()
    fused = sum(t.numel() for f in network._work.weights.self_attention for t in (f.weight,))
    fused += network._work.weights.sources.weight.numel()
    planned = plan(model.config, model.num_parameters() + fused, 6, 4)
    assert planned.caches == held
    assert planned.weights == pytest.approx(weights, rel=0.05)  # fused biases are left out


def test_a_device_that_is_too_small_is_refused_with_all_numbers_and_a_way_out() -> None:
    config = ModelConfig.base(32_000)
    needed = plan(config, 70_000_000, 1024, 2)
    check_fits(needed, 80 * GIB, 80 * GIB, 1024)
    with pytest.raises(DeviceError) as fault:
        check_fits(needed, 8 * GIB, 16 * GIB, 1024)
    message = str(fault.value)
    for part in ("8.00 GiB free", "1.60 GiB", "max_rows 1024", "lower max_rows", "smaller precision"):
        assert part in message
    fits = int(message.split("about ")[1].split()[0])
    check_fits(plan(config, 70_000_000, fits, 2), 8 * GIB, 16 * GIB, fits)
    with pytest.raises(DeviceError):
        check_fits(plan(config, 70_000_000, fits + 20, 2), 8 * GIB, 16 * GIB, fits + 20)


def test_not_even_the_weights_fitting_is_said() -> None:
    with pytest.raises(DeviceError, match="not even one row would fit"):
        check_fits(plan(ModelConfig.base(32_000), 70_000_000, 1, 2), GIB // 10, GIB, 1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(DeviceError, match=r"0 GPUs, got 'cuda'; torch .* use --device cpu"):
        CudaNetwork(tiny_model(0))


@pytest.mark.parametrize(("max_rows", "steps_ahead"), [(0, 4), (4, 0)])
def test_no_rows_or_steps_at_all_are_refused(max_rows: int, steps_ahead: int) -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        CudaNetwork(tiny_model(0), device="cpu", max_rows=max_rows, steps_ahead=steps_ahead)
