"""Tokens and positions to vectors (sections 3.4 and 3.5 of Vaswani et al. 2017).

Knows: embedding tables, their scale, sinusoidal and learned positions. Must not know: attention, decoding.
Shapes: B sentences, S positions, D width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from model.config import ModelConfig, SinusoidLayout
from model.dropout import Dropout


def sinusoidal_positions(
    first: int, count: int, d_model: int, layout: SinusoidLayout = "interleaved"
) -> Tensor:
    """Position vectors [count, d_model] in float32 for positions first..first+count-1.

    "interleaved": PE(p, 2i) = sin(p / 10000^(2i/D)), PE(p, 2i+1) = cos(same), section 3.5. "halves": the same
    values, all sines before all cosines (Marian). "fairseq": sines then cosines, with wavelengths spread over
    D/2 - 1 steps (M2M-100, FSMT). Computed in float64, so that late positions keep their precision.
    """
    half = d_model // 2
    steps = max(half - 1, 1) if layout == "fairseq" else half
    frequencies = torch.exp(torch.arange(half, dtype=torch.float64) * (-math.log(10_000.0) / steps))
    angles = torch.arange(first, first + count, dtype=torch.float64)[:, None] * frequencies
    if layout == "interleaved":
        return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2).float()
    return torch.cat((angles.sin(), angles.cos()), dim=-1).float()


class PositionTable(nn.Module):
    """Position vectors for positions 0..max_length-1, counted from the configuration's offset."""

    table: Tensor

    def __init__(self, config: ModelConfig, max_length: int) -> None:
        super().__init__()
        first = config.position_offset
        if config.positions == "learned":
            self.table = nn.Parameter(torch.randn(first + max_length, config.d_model) * 0.02)
        else:
            values = sinusoidal_positions(0, first + max_length, config.d_model, config.sinusoid_layout)
            self.register_buffer("table", values, persistent=False)
        self.first, self.max_length = first, max_length

    def forward(self, positions: Tensor) -> Tensor:
        """Positions (any shape, long) -> vectors [..., D]. A position past the table raises `IndexError`."""
        return self.table[positions + self.first]


class Embedding(nn.Module):
    """Token vectors times sqrt(D), plus positions, then norm (if any) and dropout: [B, S] -> [B, S, D]."""

    def __init__(self, config: ModelConfig, tokens: nn.Embedding, max_length: int) -> None:
        super().__init__()
        self.tokens = tokens
        self.positions = PositionTable(config, max_length)
        self.norm = nn.LayerNorm(config.d_model) if config.embedding_norm else nn.Identity()
        self.dropout = Dropout(config.dropout)
        self.scale = math.sqrt(config.d_model) if config.scale_embeddings else 1.0

    def forward(self, token_ids: Tensor, positions: Tensor) -> Tensor:
        """`token_ids` [B, S] and `positions` broadcastable to it -> [B, S, D]."""
        vectors = self.tokens(token_ids) * self.scale + self.positions(positions)
        out: Tensor = self.dropout(self.norm(vectors))
        return out
