"""The native library's functions with their types, and what its failures are called here.

Knows: the C interface (`src/api.cpp`), numbers and addresses. Must not know: tensors' meaning, how the
library came to be. A call lets other threads run (ctypes releases the interpreter), so one network must
not be called by two at once.
"""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, c_char_p, c_float, c_int, c_int32, c_int64, c_void_p
from typing import Any

from model.kv_cache import CacheOverflow
from model.native.levels import ABI_VERSION

PANEL = 64  # tokens whose largest logit is told together

NUMBERS = {"float32": 0, "bfloat16": 1, "int8": 2}  # precisions of the matrix products
ACTIVATIONS = {"relu": 0, "gelu": 1, "silu": 2}

# Places of weights, in the order of `src/api.cpp`.
MATRICES = (
    "encoder.qkv",
    "encoder.joined",
    "encoder.inner",
    "encoder.outer",
    "decoder.qkv",
    "decoder.joined",
    "decoder.query",
    "decoder.source",
    "decoder.source_joined",
    "decoder.inner",
    "decoder.outer",
    "output",
)
NORMS = (
    "encoder.after_self",
    "encoder.after_feed",
    "decoder.after_self",
    "decoder.after_cross",
    "decoder.after_feed",
    "encoder_norm",
    "decoder_norm",
    "source_embedding",
    "target_embedding",
)
TABLES = ("source.tokens", "source.positions", "target.tokens", "target.positions")


class NativeError(RuntimeError):
    """The native library failed, or is not the one that this code was written for."""


class NativeMemoryError(NativeError, MemoryError):
    """The native library was refused memory."""


_SIZES = (
    "d_model encoder_layers decoder_layers encoder_heads decoder_heads encoder_ffn decoder_ffn "
    "source_vocabulary target_vocabulary source_positions target_positions "
    "pre_norm final_norm embedding_norm shared_embeddings activation alignment_layer numbers threads"
)


class Sizes(ctypes.Structure):
    """`Sizes` of `src/network.h`."""

    _fields_ = [
        *((name, c_int32) for name in _SIZES.split()),
        ("embedding_scale", c_float),
        ("epsilon", c_float),
    ]


class StepResult(ctypes.Structure):
    """`StepResult` of `src/network.h`: addresses of float32 numbers."""

    _fields_ = [(name, c_void_p) for name in ("logits", "log_sums", "block_max", "attention", "shares")]


class StepLogits(ctypes.Structure):
    """`StepLogits` of `src/select.h`."""

    _fields_ = [
        *((name, c_void_p) for name in ("logits", "log_sums", "block_max", "chosen", "barred")),
        *((name, c_int64) for name in ("vocabulary", "rows", "num_barred")),
    ]


class BeamsIn(ctypes.Structure):
    """`BeamsIn` of `src/select.h`."""

    _fields_ = [("widths", c_void_p), ("sums", c_void_p), ("beams", c_int64), ("eos_id", c_int64)]


class BeamsOut(ctypes.Structure):
    """`BeamsOut` of `src/select.h`."""

    _fields_ = [("numbers", c_void_p), ("places", c_void_p)]


_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "verto_abi_version": (c_int, []),
    "verto_level": (c_char_p, []),
    "verto_last_error": (c_char_p, []),
    "verto_self_check": (c_int, []),
    "verto_network_new": (c_int, [POINTER(Sizes), POINTER(c_void_p)]),
    "verto_network_free": (None, [c_void_p]),
    "verto_network_bytes": (c_int64, [c_void_p]),
    "verto_block_bytes": (c_int64, [c_void_p]),
    "verto_set_matrix": (c_int, [c_void_p, c_int, c_int, c_void_p, c_void_p, c_int, c_int]),
    "verto_set_norm": (c_int, [c_void_p, c_int, c_int, c_void_p, c_void_p]),
    "verto_set_table": (c_int, [c_void_p, c_int, c_void_p, c_int]),
    "verto_open": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_int, POINTER(c_void_p)]),
    "verto_step": (c_int, [c_void_p, c_void_p, c_void_p, POINTER(StepResult)]),
    "verto_cache_free": (None, [c_void_p]),
    "verto_cache_bytes": (c_int64, [c_void_p]),
    "verto_cache_reorder": (c_int, [c_void_p, c_void_p]),
    "verto_cache_keep": (c_int, [c_void_p, c_void_p]),
    "verto_cache_join": (c_int, [c_void_p, c_void_p]),
    "verto_top": (c_int, [POINTER(StepLogits), c_int64, c_void_p, c_void_p]),
    "verto_extend_beams": (c_int, [POINTER(StepLogits), POINTER(BeamsIn), POINTER(BeamsOut)]),
}

_ERRORS: dict[int, type[Exception]] = {2: CacheOverflow, 3: IndexError, 4: ValueError, 5: NativeMemoryError}


class Library:
    """A loaded library whose functions are callable as attributes without their prefix."""

    def __init__(self, loaded: ctypes.CDLL) -> None:
        """Raises `NativeError` for a library that is not of this version."""
        self._loaded = loaded
        for name, (result, arguments) in _SIGNATURES.items():
            try:
                function = getattr(loaded, name)
            except AttributeError:
                raise NativeError(
                    f"the native library has no {name}; build it again from this code"
                ) from None
            function.restype, function.argtypes = result, arguments
        version = int(loaded.verto_abi_version())
        if version != ABI_VERSION:
            raise NativeError(f"the native library has interface {version}, this code needs {ABI_VERSION}")

    @property
    def level(self) -> str:
        """The instruction set that it was built for."""
        return str(self._loaded.verto_level().decode())

    def self_check(self) -> None:
        """Raises `NativeError` when a small product of some precision is not what plain loops find."""
        code = int(self._loaded.verto_self_check())
        if code:
            wrong = dict(enumerate(NUMBERS, 1)).get(code, "any precision")
            raise NativeError(f"the native library ({self.level}) computes wrong products in {wrong}")

    def call(self, name: str, *arguments: Any) -> None:
        """A function that tells of its failure by a code. Raises what the code stands for."""
        code = getattr(self._loaded, name)(*arguments)
        if code:
            raise _ERRORS.get(code, NativeError)(self._loaded.verto_last_error().decode())

    def number(self, name: str, handle: c_void_p) -> int:
        """A function of one handle that cannot fail."""
        return int(getattr(self._loaded, name)(handle))

    def free(self, name: str, handle: c_void_p, owner: int) -> None:
        """`owner`: the process that made it. Another one is a fork of it, which would wait for ever for
        threads that it does not have; the system takes back what it holds."""
        if os.getpid() == owner:
            getattr(self._loaded, name)(handle)
