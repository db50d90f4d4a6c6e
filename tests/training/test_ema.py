"""The moving average against its formula, and that looking at it changes nothing."""

import torch
from torch import nn

from training.ema import MovingAverage


def weighted(value: float) -> nn.Linear:
    network = nn.Linear(2, 1, bias=False)
    nn.init.constant_(network.weight, value)
    return network


def test_it_follows_the_weights_with_its_decay() -> None:
    network = weighted(0.0)
    average = MovingAverage(network, 0.5)
    expected = 0.0
    for step, value in enumerate((4.0, -2.0, 8.0, 1.0, 3.0, 7.0, 5.0, 9.0, 2.0, 6.0), start=1):
        nn.init.constant_(network.weight, value)
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))  # 2/11, 3/12, ... until 0.5 is the smaller
        expected = decay * expected + (1 - decay) * value
        torch.testing.assert_close(average.values["weight"], torch.full((1, 2), expected))


def test_a_shared_parameter_is_averaged_once() -> None:
    first = weighted(1.0)
    network = nn.Sequential(first, first)
    assert list(MovingAverage(network, 0.9).values) == ["0.weight"]


def test_in_place_the_network_has_the_average_and_then_its_own_bits_again() -> None:
    network = weighted(1.0)
    average = MovingAverage(network, 0.9)
    nn.init.constant_(network.weight, 0.1)
    before, pointer = network.weight.detach().clone(), network.weight.data_ptr()
    with average.in_place():
        assert torch.equal(network.weight, torch.ones(1, 2))
    assert torch.equal(network.weight, before)
    assert network.weight.data_ptr() == pointer  # a compiled network keeps reading there


def test_the_networks_own_bits_come_back_after_a_fault() -> None:
    network = weighted(1.0)
    average = MovingAverage(network, 0.9)
    nn.init.constant_(network.weight, 0.1)
    try:
        with average.in_place():
            raise RuntimeError
    except RuntimeError:
        pass
    assert torch.equal(network.weight, torch.full((1, 2), 0.1))


def test_it_begins_again_as_the_weights_are() -> None:
    network = weighted(1.0)
    average = MovingAverage(network, 0.9)
    nn.init.constant_(network.weight, 3.0)
    average.restart()
    assert torch.equal(average.values["weight"], network.weight)
    assert average.values["weight"].data_ptr() != network.weight.data_ptr()
