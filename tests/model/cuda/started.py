"""All that happens when the kernels are started on a GPU, but for the start itself; needs Triton.

A program of its own (`python -m tests.model.cuda.started`). What the interpreter passes over, and compiling
by hand (see compile_kernels.py) does too, shows here: which types and constants the functions beside the
kernels hand over, and what is then compiled.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
import triton  # type: ignore[import-not-found]

import training.loss_kernels
from model.cuda import attend_kernels, between_kernels, finish_kernels
from model.cuda.choose import Trial
from tests.builders import tiny_config
from tests.model.cuda.compile_kernels import TARGET
from training.loss import LossTrial

HOST = torch.device("cpu")
PRECISIONS = (torch.float32, torch.bfloat16, torch.float16)
SIZES: tuple[dict[str, Any], ...] = (
    {},  # whose vocabulary is one block, and one part
    {"d_model": 48, "num_decoder_heads": 1, "embedding_norm": True},
    {"target_vocab_size": 32_000, "share_embeddings": False},
    {"target_vocab_size": 200_001, "share_embeddings": False},
)


class Utilities:
    def load_binary(self, *asked: Any) -> tuple[int, int, int, int, int]:
        return 1, 1, 32, 0, 1024  # of a program: module, function, registers, spills, most threads

    def get_device_properties(self, device: int) -> dict[str, int]:
        return {"max_shared_mem": 232_448, "multiprocessor_count": 132, "warpSize": 32}


class Nowhere:
    """Triton's driver of an H200 that is not there: it starts nothing, and tells what it was to start."""

    def __init__(self) -> None:
        self.utils, self.started = Utilities(), set[str]()

    def launcher_cls(self, source: Any, metadata: Any) -> Any:
        return lambda *asked: self.started.add(source.fn.fn.__name__)

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0

    def get_current_target(self) -> Any:
        return TARGET


@torch.inference_mode()
def start_steps(dtype: torch.dtype) -> None:
    for sizes in SIZES:
        config = tiny_config(**sizes)
        trial = Trial(config, HOST, dtype)
        attend, between = attend_kernels.FusedAttend(), between_kernels.FusedBetween()
        trial.attend(attend, attend)
        trial.between(between, between)
        finish = finish_kernels.FusedFinish(config)
        trial.finish(finish, finish)


if __name__ == "__main__":
    driver = Nowhere()
    triton.runtime.driver.set_active(driver)
    for precision in PRECISIONS:
        start_steps(precision)
        loss = training.loss_kernels.FusedLoss
        LossTrial(HOST, precision)(loss, loss)
    sys.stdout.write(" ".join(sorted(driver.started)) + "\n")
