"""The least that a step can take on a device: bytes over its bandwidth, operations over its rate, both
measured.

Knows: sizes of networks, copies, products. Must not know: how a step is computed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch

from loadtests.gpu.setting import Setting
from model.config import ModelConfig


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What the device can do: bytes a second (read and written), operations a second in bf16."""

    bandwidth: float
    rate: float


def measured(setting: Setting) -> Ceiling:
    """By a large copy and a large product of random numbers."""
    size, side = ((1 << 16), 64) if setting.tiny else ((1 << 30), 8192)
    source = torch.randn(size // 4, device=setting.device)
    target = torch.empty_like(source)
    one = torch.randn(side, side, device=setting.device, dtype=torch.bfloat16)
    other = torch.randn(side, side, device=setting.device, dtype=torch.bfloat16)
    for _ in range(3):
        target.copy_(source)
        one @ other
    times = 2 if setting.tiny else 20
    copy = min(setting.seconds(lambda: target.copy_(source), times) for _ in range(5))
    product = min(setting.seconds(lambda: one @ other, times) for _ in range(5))
    return Ceiling(2 * size / copy, 2 * side**3 / product)


def decoder_weights(config: ModelConfig) -> int:
    """Numbers that every step reads: the decoder's matrices and the output projection."""
    attention = 6 * config.d_model**2  # self: 4, of the source: query and output
    feed_forward = 2 * config.d_model * config.decoder_ffn_dim
    return config.num_decoder_layers * (attention + feed_forward) + config.d_model * config.target_vocab_size


def step_floor(
    config: ModelConfig, ceiling: Ceiling, rows: int, segments: int, filled: float, source: int, itemsize: int
) -> float:
    """Seconds of one step of `rows` rows with `filled` positions, over `segments` sources of `source`
    tokens."""
    weights = decoder_weights(config)
    per_position = 2 * config.num_decoder_layers * config.d_model
    num_bytes = itemsize * (weights + per_position * (rows * filled + segments * source))
    operations = 2 * weights * rows + 2 * per_position * rows * (filled + source)
    return max(num_bytes / ceiling.bandwidth, operations / ceiling.rate)


def encoder_floor(config: ModelConfig, ceiling: Ceiling, tokens: int, itemsize: int) -> float:
    """Seconds of encoding so many source tokens, keys and values of the decoder's layers included."""
    layer = 4 * config.d_model**2 + 2 * config.d_model * config.encoder_ffn_dim
    weights = config.num_encoder_layers * layer + 2 * config.num_decoder_layers * config.d_model**2
    return max(itemsize * weights / ceiling.bandwidth, 2 * weights * tokens / ceiling.rate)


def batch_floor(config: ModelConfig, ceiling: Ceiling, batch: int, width: int, tokens: int) -> float:
    """Seconds of a batch of sources of so many tokens, and as many steps, in 16 bits."""
    steps = (
        step_floor(config, ceiling, batch * width, batch, filled + 1, tokens, 2) for filled in range(tokens)
    )
    return encoder_floor(config, ceiling, batch * tokens, 2) + sum(steps)


def as_data(ceiling: Ceiling) -> dict[str, float]:
    return asdict(ceiling)
