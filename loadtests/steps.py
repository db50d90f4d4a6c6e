"""How long single steps and encodings of a network take, without any search around them.

Knows: the seam `model.network.Network`, clocks. Must not know: strategies, what the times are for.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from statistics import median

import torch

from model.network import Network


@torch.inference_mode()
def step_seconds(
    network: Network, rows: int, source_length: int, num_steps: int, width: int = 1, repeats: int = 3
) -> list[float]:
    """Seconds of each of the first `num_steps` steps of `rows` rows, `width` of them to a segment.

    Medians over the repeats, step by step. Every row goes on with a token of its own.
    """
    times = [_steps(network, rows // width, source_length, num_steps, width) for _ in range(repeats)]
    return [median(column) for column in zip(*times, strict=True)]


def _steps(network: Network, segments: int, source_length: int, num_steps: int, width: int) -> list[float]:
    cache = network.open(
        sources(network, segments, source_length), [width] * segments, [num_steps] * segments
    )
    token_ids = torch.arange(segments * width) % (network.config.target_vocab_size - 8) + 8
    times = []
    for _ in range(num_steps):
        began = time.perf_counter()
        network.step(token_ids, cache)
        times.append(time.perf_counter() - began)
    return times


@torch.inference_mode()
def open_seconds(network: Network, segments: int, source_length: int, repeats: int = 3) -> float:
    """Seconds of encoding so many sources of one length, cross-attention keys and values among it."""
    asked, times = sources(network, segments, source_length), []
    for _ in range(repeats):
        began = time.perf_counter()
        network.open(asked, [1] * segments, [1] * segments)
        times.append(time.perf_counter() - began)
    return median(times)


def sources(network: Network, segments: int, length: int) -> Sequence[Sequence[int]]:
    rng = random.Random(segments * 1000 + length)
    highest = network.config.source_vocab_size - 1
    return [rng.choices(range(highest), k=length) for _ in range(segments)]
