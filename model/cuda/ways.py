"""By which ways a step is computed: attention, what stands between products, its end.

Knows: the plain ways. Must not know: kernels, which ways a device takes (see choose.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from model.config import ModelConfig
from model.cuda.attend import Attend, GatheredAttend
from model.cuda.between import Between, PlainBetween
from model.cuda.finish import Finish, PlainFinish


@dataclass(frozen=True, slots=True)
class Ways:
    """One of each kind."""

    attend: Attend
    between: Between
    finish: Finish

    @property
    def names(self) -> str:
        """Which they are, for a report."""
        return ", ".join(type(way).__name__ for way in (self.attend, self.between, self.finish))


def plain_ways(config: ModelConfig, device: torch.device) -> Ways:
    return Ways(GatheredAttend(), PlainBetween(), PlainFinish(config, device))
