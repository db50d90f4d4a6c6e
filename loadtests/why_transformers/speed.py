"""Training speed by length: whole steps of both networks in turn, with as many tokens at every length.

Knows: networks, the trainer's loss and optimiser, clocks. Must not know: text, pictures.
Shapes: B sentences, S = T tokens.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from loadtests.why_transformers.shapes import FIRST_TOKEN
from training.loss import smoothed_cross_entropy
from training.run_config import OptimizerConfig
from training.update import build_optimizer

PAD_ID = 0


def measure(
    networks: Mapping[str, nn.Module],
    lengths: Sequence[int],
    batch_tokens: int,
    rounds: int,
    vocab_size: int,
    device: torch.device,
    done: Callable[..., None] = lambda count=1: None,
) -> list[dict[str, Any]]:
    """A line for each length and network: medians over rounds, in each of which every network has its turn.

    The first round warms up and does not count. Tokens are target tokens.
    """
    steps = {name: _Step(network.to(device)) for name, network in networks.items()}
    lines = []
    for length in lengths:
        ids = torch.randint(FIRST_TOKEN, vocab_size, (max(1, batch_tokens // length), length), device=device)
        times = [{name: step(ids) for name, step in steps.items()} for _ in range(rounds + 1)][1:]
        lines += [_line(name, ids, [one[name] for one in times]) for name in steps]
        done()
    return lines


def _line(name: str, ids: Tensor, times: Sequence[tuple[float, float]]) -> dict[str, Any]:
    processor, wall = (statistics.median(column) for column in zip(*times, strict=True))
    return {
        "network": name,
        "length": ids.shape[1],
        "sentences": ids.shape[0],
        "processor_seconds": processor,
        "wall_seconds": wall,
        "tokens_per_processor_second": ids.numel() / processor,
        "tokens_per_second": ids.numel() / wall,
    }


class _Step:
    """One update, as the trainer makes it: (processor seconds, wall seconds)."""

    def __init__(self, network: nn.Module) -> None:
        self.network, self.optimizer = network, build_optimizer(OptimizerConfig(), network)

    def __call__(self, ids: Tensor) -> tuple[float, float]:
        began = time.process_time(), time.perf_counter()
        self.optimizer.zero_grad(set_to_none=True)
        logits = self.network(ids, torch.ones_like(ids, dtype=torch.bool), ids)
        torch.autograd.backward(smoothed_cross_entropy(logits, ids, PAD_ID, 0.1))
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        if ids.is_cuda:
            torch.cuda.synchronize()
        return time.process_time() - began[0], time.perf_counter() - began[1]
