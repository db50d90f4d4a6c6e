"""Which way to attend a device takes: the fused one where it is proven to find what the plain one does.

Knows: both ways, a random state. Must not know: networks, searches.
"""

from __future__ import annotations

import logging
from dataclasses import replace

import torch

from model.config import ModelConfig
from model.cuda.attend import Attend, GatheredAttend
from model.cuda.shapes import StepShape, at_least
from model.cuda.state import Pools, StateView, StepState

logger = logging.getLogger(__name__)

ROWS, SEGMENTS, WIDTH = 6, 3, 2
TOLERANCE = {torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 1e-1}


def choose_attend(config: ModelConfig, device: torch.device, dtype: torch.dtype) -> Attend:
    """The fused way on a GPU, unless it cannot be compiled there or answers otherwise; that is logged."""
    plain = GatheredAttend()
    if device.type != "cuda" or dtype == torch.float64:  # the kernel adds up in float32
        return plain
    try:
        from model.cuda.kernels import FusedAttend

        fused = FusedAttend()
        error = deviation(fused, plain, config, device, dtype)
    except Exception as fault:  # whatever a compiler or driver makes of it: there is another way
        logger.warning("attention without its own kernel: %s: %s", type(fault).__name__, fault)
        return plain
    if error <= TOLERANCE[dtype]:
        return fused
    logger.warning("attention without its own kernel, which deviates by %.2g", error)
    return plain


def deviation(
    one: Attend, other: Attend, config: ModelConfig, device: torch.device, dtype: torch.dtype
) -> float:
    """The largest difference of what two ways answer, on random queries, keys, values, lengths and places."""
    generator = torch.Generator().manual_seed(0)
    longest = (config.max_target_length, config.max_source_length)
    shape = StepShape(at_least(ROWS), at_least(SEGMENTS), WIDTH, *longest)
    pools = Pools(config, ROWS, dtype, device)
    view = _random_view(StepState(config, ROWS, 1, device).view(shape), longest, generator)
    heads = (config.num_decoder_heads, config.d_model // config.num_decoder_heads)
    query = torch.randn(shape.rows, *heads, generator=generator).to(device, dtype)
    found: list[float] = []
    for pool, name in ((pools.targets[0], "to_target"), (pools.sources[0], "to_source")):
        pool.copy_(torch.randn(pool.shape, generator=generator))
        answers = [getattr(way, name)(query, pool, view, shape) for way in (one, other)]
        found.append((answers[0].float() - answers[1].float())[:ROWS].abs().max().item())
    return float(max(found))


def _random_view(view: StateView, longest: tuple[int, int], generator: torch.Generator) -> StateView:
    """A state of 6 rows in 3 segments, some of them full."""

    def numbers(like: torch.Tensor, most: int) -> torch.Tensor:
        return torch.randint(0, most, like.shape, generator=generator).to(like)

    rows = torch.arange(len(view.segment), device=view.segment.device)
    length = numbers(view.length, longest[0])
    length[0] = longest[0] - 1
    return replace(
        view,
        length=length,
        segment=(rows // WIDTH).clamp(max=len(view.source) - 1),
        member=rows % WIDTH,
        source=numbers(view.source, ROWS),
        source_length=1 + numbers(view.source_length, longest[1]),
        ancestors=numbers(view.ancestors, ROWS),
    )
