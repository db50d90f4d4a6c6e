"""Native kernels for the end of a run, where whole test texts are translated on a CPU: five times as fast.

Knows: where a library lies and when a network can use it. Must not know: kernels, what is translated.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from model.native.binding import Library, NativeError
from model.native.library import BuildSettings, NativeUnavailable, open_library
from model.native.network import NativeNetwork
from model.network import Network
from model.transformer import Transformer


def open_kernels(settings: BuildSettings | None, say: Callable[[str], None]) -> Library | None:
    """The library, built where it has to be; None, and the reason said, where that cannot be done or
    (`settings` is None) is not wanted."""
    if settings is None:
        return None
    try:
        return Library(open_library(settings).functions)
    except (NativeUnavailable, NativeError) as error:
        say(f"scoring without native kernels, which takes longer: {error}")
        return None


def on_kernels(model: nn.Module, library: Library | None) -> Network | None:
    """`model` in the library's memory, in float32; None for what it cannot run."""
    if library is None or type(model) is not Transformer or model.output.weight.device.type != "cpu":
        return None
    try:
        return NativeNetwork.from_model(model, "float32", torch.get_num_threads(), library)
    except (NativeError, ValueError):
        return None
