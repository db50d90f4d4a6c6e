"""A model for its shapes alone: of any size, at no cost.

Memory that nobody writes is never taken. The meta device does as well, but its first use imports for seconds.
"""

from __future__ import annotations

from unittest import mock

from torch import nn

from model.config import ModelConfig
from model.transformer import Transformer

_WRITERS = ("kaiming_uniform_", "xavier_uniform_", "uniform_", "normal_", "ones_", "zeros_")


def unwritten(config: ModelConfig) -> Transformer:
    """The model without any initial value."""
    with mock.patch.multiple(nn.init, **dict.fromkeys(_WRITERS, mock.DEFAULT)):
        return Transformer(config)
