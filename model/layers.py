"""Encoder and decoder layers in the order of the paper's figure 1.

Knows: which sublayer follows which, residuals and layer normalisation (before or after). Must not know: token
ids, vocabularies, how a cache stores what `attend_self` and `attend_source` read.
Shapes: B sentences, S source, T target, D width.
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from model.attention import MultiHeadAttention
from model.config import ModelConfig
from model.dropout import Dropout
from model.linear import Linear

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu, "silu": F.silu}


class FeedForward(nn.Module):
    """activation(x W1 + b1) W2 + b2 at each position alone (equation 2)."""

    def __init__(self, config: ModelConfig, ffn_dim: int) -> None:
        super().__init__()
        self.inner = Linear(config.d_model, ffn_dim)
        self.outer = Linear(ffn_dim, config.d_model)
        self.activation = ACTIVATIONS[config.activation]
        self.dropout = Dropout(config.activation_dropout)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.outer(self.dropout(self.activation(self.inner(x))))
        return out


class Residual(nn.Module):
    """x + sublayer(x) with its layer normalisation: after the sum ("post") or before the sublayer ("pre")."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.d_model)
        self.dropout = Dropout(config.dropout)
        self.pre = config.norm == "pre"

    def forward(self, x: Tensor, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
        out: Tensor
        if self.pre:
            out = x + self.dropout(sublayer(self.norm(x)))
        else:
            out = self.norm(x + self.dropout(sublayer(x)))
        return out


class EncoderLayer(nn.Module):
    """Self-attention, then feed-forward: [B, S, D] -> [B, S, D]."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.self_attention = MultiHeadAttention(
            config.d_model, config.num_encoder_heads, config.attention_dropout
        )
        self.feed_forward = FeedForward(config, config.encoder_ffn_dim)
        self.after_self = Residual(config)
        self.after_feed = Residual(config)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = self.after_self(x, lambda y: self.self_attention(y, y, mask))
        out: Tensor = self.after_feed(x, self.feed_forward)
        return out


class DecoderLayer(nn.Module):
    """Masked self-attention, attention over the source, feed-forward: [B, T, D] -> [B, T, D]."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.self_attention = MultiHeadAttention(
            config.d_model, config.num_decoder_heads, config.attention_dropout
        )
        self.cross_attention = MultiHeadAttention(
            config.d_model, config.num_decoder_heads, config.attention_dropout
        )
        self.feed_forward = FeedForward(config, config.decoder_ffn_dim)
        self.after_self = Residual(config)
        self.after_cross = Residual(config)
        self.after_feed = Residual(config)

    def forward(self, x: Tensor, memory: Tensor, causal: Tensor, source: Tensor) -> Tensor:
        """All target positions at once. `causal` [T, T], `source` [B, 1, 1, S]."""
        return self.run(
            x,
            lambda y: self.self_attention(y, y, causal),
            lambda y: self.cross_attention(y, memory, source),
        )

    def run(
        self, x: Tensor, attend_self: Callable[[Tensor], Tensor], attend_source: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """The three sublayers in order; the callers say where keys and values come from."""
        x = self.after_self(x, attend_self)
        x = self.after_cross(x, attend_source)
        out: Tensor = self.after_feed(x, self.feed_forward)
        return out
