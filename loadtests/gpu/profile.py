"""Leg 4: one decode step against its floor, by number of rows; its largest kernels, and what would remove
each.

Knows: the network's own step, the profiler. Must not know: searches.
"""

from __future__ import annotations

from itertools import product
from statistics import median
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from loadtests.gpu.floor import Ceiling, as_data, measured, step_floor
from loadtests.gpu.setting import FORCED_TOKENS, Found, Setting
from model.cuda.network import CudaNetwork
from model.network import Foreseen
from model.transformer import Transformer

LARGEST = 5
# By a part of the kernel's name, the first that fits.
REMEDIES = (
    ("attend_kernel", "attention: more positions at a time where rows are long; keys and values in 8 bits"),
    ("add_and_norm", "sums that are normed: made by the product before them"),
    ("block_kernel", "best and sum of each block: taken where the logits are made"),
    ("top_kernel", "the likeliest tokens: blocks merged by several programs where rows are few"),
    ("select_kernel", "the choice of a beam's rows: one program for a beam, not for each row"),
    ("go_on_kernel", "the table of ancestors: two that take turns, and so no copy"),
    ("index", "keys and values gathered before attention: a kernel that reads through the ancestors itself"),
    ("gather", "keys and values gathered before attention: a kernel that reads through the ancestors itself"),
    ("softmax", "log-softmax over the vocabulary: log-sum-exp and the best of each block in one pass"),
    ("sort", "stable sorts of the selection: a merge of 2 W candidates in one block of threads"),
    ("radix", "stable sorts of the selection: a merge of 2 W candidates in one block of threads"),
    ("reduce", "block maxima: taken where the logits are made"),
    ("norm", "layer norms: added to the product or sum before them"),
    ("attention", "attention of one query: fewer, longer blocks; keys and values in 8 bits"),
    ("fmha", "attention of one query: fewer, longer blocks; keys and values in 8 bits"),
    ("gemm", "a product: weights in 8 bits; nothing else where it runs at the bandwidth"),
    ("cutlass", "a product: weights in 8 bits; nothing else where it runs at the bandwidth"),
    ("nvjet", "a product: weights in 8 bits; nothing else where it runs at the bandwidth"),
    ("elementwise", "sums and activations between products: fused into them"),
)


def steps(setting: Setting) -> Found:
    """Profiles come last: after PyTorch's profiler a process computes more slowly, by a tenth or two."""
    ceiling = measured(setting)
    rows = (1, 2) if setting.tiny else (1, 32, 128, 256, 512, 1024)
    profiled = rows[:1] if setting.tiny else (1, 256)
    shapes = {"base": setting.base(), "shipped": setting.subject().bundle.model}
    lines, costs = list[dict[str, Any]](), list[dict[str, Any]]()
    found: dict[str, Any] = {"ceiling": as_data(ceiling), "steps": lines, "kernels": costs}
    for (name, model), width, count in product(shapes.items(), (1, 4), rows):
        if count % width and count > 1:
            continue
        prepared = _Prepared(model, setting, max(count, width), width)
        lines.append({"shape": name, "width": width, **prepared.timed(ceiling)})
        found["ways_taken"] = prepared.ways
        del prepared
        yield found
    for (name, model), count in product(shapes.items(), profiled):
        largest = _Prepared(model, setting, count, 1).largest()
        costs.append({"shape": name, "rows": count, "largest": largest})
        yield found


class _Prepared:
    """A network in bf16 with half-filled rows, whose step can be repeated: what it writes is written
    again."""

    def __init__(self, model: Transformer, setting: Setting, rows: int, width: int) -> None:
        self._setting, self._rows, self._segments = setting, rows, rows // width
        self._network = CudaNetwork(model, device=setting.device, dtype=torch.bfloat16, max_rows=rows)
        source = (*([7] * (FORCED_TOKENS - 1)), model.config.eos_id)
        with torch.inference_mode():
            segments = self._segments
            self._cache = self._network.open(
                [source] * segments, [width] * segments, [4 * FORCED_TOKENS] * segments
            )
            self._cache.foresee([Foreseen(4 * FORCED_TOKENS)] * segments)
            tokens = torch.full((rows,), model.config.decoder_start_id)
            for _ in range(FORCED_TOKENS // 2):
                step = self._network.step(tokens, self._cache).step  # type: ignore[union-attr]
                if step.moves:
                    self._cache.reorder(torch.tensor(step.parents))
                tokens = torch.tensor(step.token_ids)
            self._network.step(tokens, self._cache)

    @property
    def ways(self) -> str:
        """Which were found to be right there (see `model.cuda.choose`)."""
        return self._network.ways

    @torch.inference_mode()
    def timed(self, ceiling: Ceiling) -> dict[str, Any]:
        times, replay = 2 if self._setting.tiny else 20, self._network.replay_last
        seconds = median(self._setting.seconds(replay, times) for _ in range(5))
        config, filled = self._network.config, self._network.replayed_positions()
        floor = step_floor(config, ceiling, self._rows, self._segments, filled, FORCED_TOKENS, 2)
        return {
            "rows": self._rows,
            "step_microseconds": 1e6 * seconds,
            "floor_microseconds": 1e6 * floor,
            "over_floor": seconds / floor,
        }

    @torch.inference_mode()
    def largest(self) -> list[dict[str, Any]]:
        """Of ten steps, the kernels that take most of the time."""
        is_gpu = self._setting.device.type == "cuda"
        activities = [ProfilerActivity.CUDA] if is_gpu else [ProfilerActivity.CPU]
        with profile(activities=activities) as seen:
            for _ in range(10):
                self._network.replay_last()
            self._setting.wait()
        lines = [(one.key, _time(one, is_gpu), one.count / 10) for one in seen.key_averages()]
        whole = sum(time for _, time, _ in lines) or 1.0
        ranked = sorted(lines, key=lambda line: -line[1])[:LARGEST]
        return [
            {
                "kernel": key[:120],
                "share": time / whole,
                "microseconds": time / 10,
                "calls": calls,
                "remedy": next((remedy for part, remedy in REMEDIES if part in key.lower()), "-"),
            }
            for key, time, calls in ranked
        ]


def _time(event: Any, is_gpu: bool) -> float:
    """Microseconds of its own."""
    return float(event.self_device_time_total if is_gpu else event.self_cpu_time_total)
