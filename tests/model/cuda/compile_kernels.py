"""Compile the kernels for a GPU, without one; needs Triton.

A program of its own (`python -m tests.model.cuda.compile_kernels`), since in a process Triton either
interprets or compiles. What the interpreter forgives, such as a name that is not the kernel's, shows here.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from itertools import product
from tempfile import NamedTemporaryFile
from typing import Any, NamedTuple

import triton  # type: ignore[import-not-found]
from triton.backends.compiler import GPUTarget  # type: ignore[import-not-found]
from triton.compiler import ASTSource  # type: ignore[import-not-found]

from model.cuda.attend_kernels import BLOCK, NUM_WARPS, attend_kernel
from model.cuda.between_kernels import add_and_norm_kernel, embed_kernel
from model.cuda.finish_kernels import BLOCK as TOKENS
from model.cuda.finish_kernels import (
    BLOCKS_OF_PART,
    block_kernel,
    go_on_kernel,
    select_kernel,
    top_kernel,
    warps_of,
)
from model.cuda.memory import RECORD_FIELDS
from training.loss_kernels import BLOCK as LOGITS
from training.loss_kernels import gradient_kernel, loss_kernel

TARGET = GPUTarget("cuda", 90, 32)  # an H100's or H200's instructions
NUMBERS = ("bf16", "fp16", "fp32")


class Variant(NamedTuple):
    """A kernel, the types of its arguments where they are no `i32`, its constants, how many warps."""

    kernel: Any
    types: Mapping[str, str]
    constants: Mapping[str, int]
    num_warps: int


def variants() -> Iterator[Variant]:
    """As the functions beside the kernels start them."""
    for number, by_row, width in product(NUMBERS, (True, False), (24, 32, 64)):
        types = dict.fromkeys(("asked", "pool", "out"), f"*{number}")
        types |= dict.fromkeys(("lengths", "own"), "*i64") | {"scale": "fp32", "values_offset": "i64"}
        sizes = {"HEAD_WIDTH": width, "PADDED_WIDTH": triton.next_power_of_2(width)}
        constants = {**sizes, "BLOCK_SIZE": BLOCK, "BY_ROW": by_row}
        yield Variant(attend_kernel, types | {"table": "*i32" if by_row else "*i64"}, constants, NUM_WARPS)
    for number, width in product(NUMBERS, (48, 512)):
        sizes = {"WIDTH": width, "PADDED_WIDTH": triton.next_power_of_2(width)}
        types = dict.fromkeys(("tokens", "positions", "out"), f"*{number}") | {"scale": "fp32"}
        types |= dict.fromkeys(("token_ids", "lengths", "places"), "*i64") | {"ancestors": "*i32"}
        yield Variant(embed_kernel, types, sizes, 4)
        names = ("left", "right", "total", "normed", "weight", "bias")
        yield Variant(add_and_norm_kernel, dict.fromkeys(names, f"*{number}") | {"epsilon": "fp32"}, sizes, 4)
    yield from _finish()
    for number in NUMBERS:
        types = dict.fromkeys(("logits", "gradient"), f"*{number}") | {"wanted": "*i64", "smoothing": "fp32"}
        types |= dict.fromkeys(("losses", "log_sums", "weights", "factor"), "*fp32")
        for kernel in (loss_kernel, gradient_kernel):
            yield Variant(kernel, types, {"BLOCK_SIZE": LOGITS}, 8)


def _finish() -> Iterator[Variant]:
    numbers = dict.fromkeys(("best", "highest", "sums", "values"), "*fp32")
    fields = ("lengths", "least", "token_ids", "segments", "members", "widths", "counter", "tokens")
    types = numbers | dict.fromkeys(fields, "*i64") | dict.fromkeys(("totals", "record"), "*fp64")
    types |= dict.fromkeys(("ancestors", "moved"), "*i32")
    for number in NUMBERS:
        own = types | {"logits": f"*{number}"}
        yield Variant(block_kernel, own, {"BLOCK_SIZE": TOKENS, "PART": BLOCKS_OF_PART}, 4)
        for blocks, count in product((128, 4096), (2, 8, 32)):
            parts = max(1, blocks // BLOCKS_OF_PART)
            sizes = {"PADDED_BLOCKS": blocks, "PADDED_PARTS": parts, "PADDED_COUNT": count}
            yield Variant(top_kernel, own, {"BLOCK_SIZE": TOKENS, **sizes}, 4)
        # What is 1 is a constant to Triton, and a vocabulary may be small.
        sizes = {"PADDED_BLOCKS": 1, "PADDED_PARTS": 1, "PADDED_COUNT": 2, "num_blocks": 1, "num_parts": 1}
        yield Variant(top_kernel, own, {"BLOCK_SIZE": TOKENS, **sizes}, 4)
        sizes = {"BLOCK_SIZE": TOKENS, "PART": BLOCKS_OF_PART, "num_blocks": 1, "num_parts": 1}
        yield Variant(block_kernel, own, sizes, 4)
    for candidates in (2, 32, 512, 2048):
        sizes = {"NUM_FIELDS": RECORD_FIELDS, "PADDED": candidates}
        yield Variant(select_kernel, types, sizes, warps_of(candidates))
    yield Variant(go_on_kernel, types, {"NUM_FIELDS": RECORD_FIELDS, "POSITIONS": 64}, 2)


def size_of(variant: Variant) -> int:
    """Bytes of the program for the GPU, which keeps all in registers."""
    names = variant.kernel.arg_names
    types = {name: variant.types.get(name, "i32") for name in names} | dict.fromkeys(
        variant.constants, "constexpr"
    )
    places = {(names.index(name),): value for name, value in variant.constants.items()}
    even = {(names.index(name),): [["tt.divisibility", 16]] for name in _even(variant.kernel, types)}
    source = ASTSource(fn=variant.kernel, signature=types, constexprs=places, attrs=even)
    made = triton.compile(source, target=TARGET, options={"num_warps": variant.num_warps})
    with NamedTemporaryFile(suffix=".cubin") as file:
        file.write(made.asm["cubin"])
        file.flush()
        command = [triton.knobs.nvidia.cuobjdump.path, "-res-usage", file.name]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert " STACK:0 " in told, f"{variant}: {told}"
    return len(made.asm["cubin"])


def _even(kernel: Any, types: Mapping[str, str]) -> Iterator[str]:
    """What is a multiple of 16 wherever a kernel is started: tensors begin there, and so do their lines."""
    for one in kernel.params:
        begins = types[one.name].startswith("*") and not one.do_not_specialize_on_alignment
        if begins or one.name.endswith(("stride", "offset")):
            yield one.name


if __name__ == "__main__":
    for one in variants():
        sys.stdout.write(f"{one.kernel.fn.__name__} {dict(one.constants)} {size_of(one)}\n")
