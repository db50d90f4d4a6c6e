"""Native libraries and networks for tests, and configurations at random.

Knows: how a library is built, what `ModelConfig` allows. Must not know: what a test wants to find out.
"""

from __future__ import annotations

import ctypes
import functools
import tempfile
from pathlib import Path
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from model.native.binding import Library
from model.native.levels import Level, supported_levels
from model.native.library import BuildSettings, BuiltLibrary, build_library, open_library
from model.native.network import NativeNetwork
from model.transformer import Transformer
from tests.builders import tiny_model

LEVELS = [level.name for level in supported_levels()]
# Tile registers one number at a time: what is built on them is tested on processors that have none as well.
IN_STEPS = Level("tiles_in_steps", frozenset(), ("-DVERTO_TILES_IN_STEPS", "-Wno-psabi"))
TESTED = LEVELS if "amx" in LEVELS else [*LEVELS, IN_STEPS.name]
CACHE = Path(tempfile.gettempdir()) / "verto-test-kernels"  # keyed by the sources' contents


@functools.cache
def library_of(level: str) -> Library:
    if level == IN_STEPS.name:
        return Library(ctypes.CDLL(str(built_in_steps().path)))
    return Library(open_library(BuildSettings(cache_dir=CACHE), level).functions)


def built_in_steps() -> BuiltLibrary:
    return build_library(BuildSettings(cache_dir=CACHE), IN_STEPS)


def native(
    model: Transformer, library: Library, precision: str = "float32", num_threads: int = 1
) -> NativeNetwork:
    return NativeNetwork.from_model(model, precision, num_threads, library)


def any_shape() -> st.SearchStrategy[dict[str, Any]]:
    """Fields of `ModelConfig` for small networks of every variant, widths that fit no vector among them."""
    return st.builds(_shape, st.integers(1, 3), st.sampled_from([8, 10, 16, 18, 34]), _SWITCHES)


_SWITCHES = st.fixed_dictionaries(
    {
        "norm": st.sampled_from(["pre", "post"]),
        "final_norm": st.booleans(),
        "embedding_norm": st.booleans(),
        "activation": st.sampled_from(["relu", "gelu", "silu"]),
        "positions": st.sampled_from(["sinusoidal", "learned"]),
        "position_offset": st.integers(0, 3),
        "tie_output": st.booleans(),
        "share_embeddings": st.booleans(),
        "scale_embeddings": st.booleans(),
        "output_bias": st.booleans(),
        "num_encoder_layers": st.integers(1, 3),
        "num_decoder_layers": st.integers(1, 3),
        "encoder_ffn_dim": st.integers(1, 70),
        "decoder_ffn_dim": st.integers(1, 70),
        "source_vocab_size": st.integers(5, 140),
        "target_vocab_size": st.integers(5, 140),
        "encoder_splits": st.booleans(),
    }
)


def _shape(heads: int, head_width: int, switches: dict[str, Any]) -> dict[str, Any]:
    splits = switches.pop("encoder_splits")  # another number of heads in the encoder
    shape = switches | {
        "d_model": heads * head_width,
        "num_decoder_heads": heads,
        "num_encoder_heads": heads * 2 if splits and head_width % 2 == 0 else heads,
    }
    if shape["share_embeddings"]:
        shape["target_vocab_size"] = shape["source_vocab_size"]
    return shape


def any_model(seed: int, shape: dict[str, Any]) -> Transformer:
    """Norms and biases at random as well: fresh ones are ones and zeros, which hide mistakes."""
    model = tiny_model(seed, **shape).requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.dim() == 1:
            parameter += torch.randn(parameter.shape, generator=generator) * 0.2
    return model


def random_sources(seed: int, lengths: list[int], vocabulary: int) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(0, vocabulary, (length,), generator=generator).tolist() for length in lengths]


def random_tokens(seed: int, rows: int, vocabulary: int) -> Tensor:
    return torch.randint(0, vocabulary, (rows,), generator=torch.Generator().manual_seed(seed))
