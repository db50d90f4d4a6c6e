"""What all legs share: the device, sizes, the two networks, a clock that waits for the device.

Knows: bundles, shapes, devices. Must not know: who is measured, reports.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from loadtests.subject import SHIPPED, Subject, subject
from loadtests.workload import Workload
from model.config import ModelConfig
from model.transformer import Transformer

OPUS_BASE = ModelConfig.base(
    32_000,
    activation="silu",
    sinusoid_layout="halves",
    pad_id=31_999,
    eos_id=0,
    decoder_start_id=31_999,
    max_source_length=128,
    max_target_length=128,
)
FORCED_TOKENS = 25  # of a source, and of the target that is forced out of it
Found = Iterator[dict[str, Any]]  # what a leg has found so far, again and again; the last is all


@dataclass(frozen=True, slots=True)
class Setting:
    """`tiny`: small enough to see on a processor that every leg runs; its numbers mean nothing. `ends`: when
    the leg should be over, by `time.monotonic`."""

    device: torch.device
    tiny: bool
    sentences: Workload
    bundle: Path = SHIPPED
    ends: float = math.inf

    def has_time(self, seconds: float) -> bool:
        """Whether so many are left, for what can be left out."""
        return time.monotonic() + seconds <= self.ends

    @property
    def batches(self) -> tuple[int, ...]:
        return (1, 2) if self.tiny else (1, 8, 32, 128, 512, 1024)

    @property
    def precisions(self) -> tuple[torch.dtype, ...]:
        half = () if self.tiny else (torch.float16,)
        return (torch.float32, torch.bfloat16, *half)

    def subject(self) -> Subject:
        return subject(self.bundle, self.sentences, torch.get_num_threads())

    def base(self) -> Transformer:
        """OPUS-MT's shape with random weights, the same every time, whose answers vary."""
        sizes = {"d_model": 64, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "num_encoder_layers": 1}
        tokens = {"source_vocab_size": 300, "target_vocab_size": 300, "pad_id": 299, "decoder_start_id": 299}
        small: dict[str, Any] = sizes | tokens
        config = replace(OPUS_BASE, **small) if self.tiny else OPUS_BASE
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return Transformer(config).eval()

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def seconds(self, work: Callable[[], object], times: int = 1) -> float:
        """Of one call, the mean over so many."""
        self.wait()
        began = time.perf_counter()
        for _ in range(times):
            work()
        self.wait()
        return (time.perf_counter() - began) / times

    @property
    def name(self) -> str:
        """Of the device, for the report."""
        if self.device.type == "cuda":
            return torch.cuda.get_device_name(self.device)
        return "a processor (dry run)"
