"""Compile the kernel of attention for a GPU, without one; needs Triton.

A program of its own (`python -m tests.model.cuda.compile_kernel`), since in a process Triton either
interprets or compiles. What the interpreter forgives, such as a name that is not the kernel's, shows here.
"""

from __future__ import annotations

import sys
from itertools import product

import triton  # type: ignore[import-not-found]
from triton.backends.compiler import GPUTarget  # type: ignore[import-not-found]
from triton.compiler import ASTSource  # type: ignore[import-not-found]

from model.cuda.kernels import BLOCK, _attend

TARGET = GPUTarget("cuda", 90, 32)  # an H100's or H200's instructions
CONSTANTS = ("HEAD_WIDTH", "PADDED_WIDTH", "BLOCK_SIZE", "BY_ROW")


def signature(number: str, *, by_row: bool) -> dict[str, str]:
    """Types of the arguments as `model.cuda.kernels._run` gives them."""
    types = dict.fromkeys(_attend.arg_names, "i32") | dict.fromkeys(CONSTANTS, "constexpr")
    types |= dict.fromkeys(("query", "pool", "out"), f"*{number}") | dict.fromkeys(
        ("lengths", "segments"), "*i64"
    )
    return types | {"table": "*i32" if by_row else "*i64", "scale": "fp32", "values_offset": "i64"}


def compile_one(number: str, *, by_row: bool, head_width: int) -> int:
    """Bytes of the program for the GPU."""
    values = (head_width, triton.next_power_of_2(head_width), BLOCK, by_row)
    places = {(_attend.arg_names.index(name),): value for name, value in zip(CONSTANTS, values, strict=True)}
    source = ASTSource(fn=_attend, signature=signature(number, by_row=by_row), constexprs=places)
    return len(triton.compile(source, target=TARGET, options={"num_warps": 2}).asm["cubin"])


if __name__ == "__main__":
    for kind, rows, width in product(("bf16", "fp16", "fp32"), (True, False), (24, 32, 64)):
        size = compile_one(kind, by_row=rows, head_width=width)
        sys.stdout.write(f"{kind} {rows} {width} {size}\n")
