"""A moving average of the weights, often a better model than the weights of any one step.

Knows: parameters and a decay. Must not know: steps of the optimiser, files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class MovingAverage:
    """average <- d average + (1 - d) weights after every step, beginning as the weights (section 7.2
    of Kingma and Ba 2015).

    d is `decay`, and less in the beginning, (1 + t) / (10 + t) after t steps, so that the first random
    weights are soon forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self._parameters = dict(network.named_parameters())  # shared ones are named once
        self.values = {name: one.detach().clone() for name, one in self._parameters.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after step 1, 2, ..."""
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.values.values()), list(self._parameters.values()), weight)

    @torch.no_grad()
    def restore(self, values: dict[str, Tensor]) -> None:
        """Go on from saved values. Raises `KeyError` when they are of another network."""
        for name, value in self.values.items():
            value.copy_(values[name])

    def restart(self) -> None:
        """Begin again as the weights are now."""
        self.restore({name: one.detach() for name, one in self._parameters.items()})

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The network's parameters hold the average meanwhile, and their own bits again afterwards."""
        own = {name: one.detach().clone() for name, one in self._parameters.items()}
        try:
            self._put(self.values)
            yield
        finally:
            self._put(own)

    @torch.no_grad()
    def _put(self, values: dict[str, Tensor]) -> None:
        for name, one in self._parameters.items():
            one.copy_(values[name])
