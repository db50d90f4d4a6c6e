"""The network as a server computes it: in native kernels, with the same library that `verto serve` uses.

Knows: settings, the library, both kinds of network. Must not know: what is measured.
"""

from __future__ import annotations

import copy

import torch

from model.int8 import int8_copy
from model.native.binding import Library
from model.native.library import BuildSettings, open_library
from model.native.network import NativeNetwork
from model.network import EagerNetwork, Network
from model.transformer import Transformer
from service.settings import resolve_settings


def serving_library() -> Library:
    """From the server's cache, built into it where it is not there. Raises NativeUnavailable."""
    settings = resolve_settings().settings
    build = BuildSettings(cache_dir=settings.cache_dir, compiler=settings.cxx)
    return Library(open_library(build).functions)


def served(model: Transformer, precision: str, threads: int, library: Library | None) -> Network:
    """What a server with this setting decodes with; without a library, what it does where there is none."""
    if library is not None:
        return NativeNetwork.from_model(model, precision, threads, library)
    if precision == "int8":
        return EagerNetwork(int8_copy(model), "int8")
    return EagerNetwork(copy.deepcopy(model).to(getattr(torch, precision)))
