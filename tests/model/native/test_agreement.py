"""Networks are compared by what they answer, and a wrong one is told from a right one."""

from math import isnan, nan

import pytest
import torch

from model.native.agreement import TOLERANCE, eager_in, largest_difference
from model.native.binding import Library
from model.native.library import check_library
from model.network import EagerNetwork
from tests.builders import tiny_model
from tests.model.native.kernels import built_in_steps, native


@pytest.mark.parametrize("precision", TOLERANCE)
def test_a_native_network_agrees_in_its_precision(best: Library, precision: str) -> None:
    model = tiny_model(3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    difference = largest_difference(eager_in(model, precision), native(model, best, precision))
    assert difference <= TOLERANCE[precision]
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_other_weights_do_not_agree(best: Library) -> None:
    assert largest_difference(EagerNetwork(tiny_model(3)), native(tiny_model(4), best)) > TOLERANCE["float32"]


def test_numbers_that_are_none_do_not_agree() -> None:
    broken = tiny_model(3).requires_grad_(False)
    broken.output.weight[5] = nan
    difference = largest_difference(EagerNetwork(tiny_model(3)), EagerNetwork(broken))
    assert isnan(difference)
    assert not difference <= TOLERANCE["float32"]


def test_tiles_one_number_at_a_time_pass_the_check_of_the_library() -> None:
    check_library(built_in_steps())
