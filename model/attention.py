"""Attention: scaled dot products, then several heads of them (section 3.2 of Vaswani et al. 2017).

Knows: queries, keys, values, masks. Must not know: layers, residuals, which cache the keys came from.
Shapes: B sentences, Q query positions, S key positions, D width, H heads, K head width (D = H K).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.blocks import BLOCK
from model.dropout import drop
from model.linear import ROW_TILE, Linear, in_tiles

KEY_TILE = BLOCK  # keys that one step of a processor's attention takes


def attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float = 0.0) -> Tensor:
    """softmax(Q K^T / sqrt(K)) V, equation 1: [B, H, Q, K], [B, H, S, K] x 2 -> [B, H, Q, K].

    `mask` is boolean, broadcastable to [B, H, Q, S]; True may attend. A query that may attend to nothing has
    no defined result: callers give every query at least one key.
    """
    if query.requires_grad and query.device.type == "cpu":
        return _spelled_out(query, key, value, mask, dropout)
    if in_tiles(query):
        return _in_tiles(query, key, value, mask)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)


def _in_tiles(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """The same with queries and keys filled up to whole tiles: padding changes no bit (see `Linear`)."""
    num_queries, num_keys = query.shape[2], key.shape[2]
    more_queries, more_keys = -num_queries % ROW_TILE, -num_keys % KEY_TILE
    if more_keys:
        key, value = F.pad(key, (0, 0, 0, more_keys)), F.pad(value, (0, 0, 0, more_keys))
        if mask is None:
            mask = torch.ones(1, 1, 1, num_keys, dtype=torch.bool, device=key.device)
        mask = F.pad(mask, (0, more_keys))
    if more_queries:
        query = F.pad(query, (0, 0, 0, more_queries))
        if mask is not None and mask.shape[-2] > 1:
            mask = F.pad(mask, (0, 0, 0, more_queries), value=True)
    out = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    return out[:, :, :num_queries]


def _spelled_out(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, share: float) -> Tensor:
    """The same, operation by operation: on a CPU the fused kernel's backward pass is the slower one at the
    lengths of sentences (a whole training step of a small model took 1.4 times as long with it)."""
    return torch.matmul(drop(attention_weights(query, key, mask), share), value)


def attention_weights(query: Tensor, key: Tensor, mask: Tensor | None) -> Tensor:
    """softmax(Q K^T / sqrt(K)): how much each query attends to each key, [B, H, Q, S], summing to 1."""
    scores = torch.matmul(query * query.shape[-1] ** -0.5, key.transpose(-1, -2))
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return torch.softmax(scores, -1)


class MultiHeadAttention(nn.Module):
    """Concat(head_1..head_H) W^O with head_i = attention(Q W_i^Q, K W_i^K, V W_i^V) (section 3.2.2)."""

    def __init__(self, d_model: int, num_heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.num_heads, self.dropout = num_heads, dropout
        self.query = Linear(d_model, d_model)
        self.key = Linear(d_model, d_model)
        self.value = Linear(d_model, d_model)
        self.output = Linear(d_model, d_model)

    def split_heads(self, x: Tensor) -> Tensor:
        """[B, S, D] -> [B, H, S, K]."""
        head_width = x.shape[-1] // self.num_heads
        return x.view(*x.shape[:-1], self.num_heads, head_width).transpose(1, 2)

    def project_query(self, x: Tensor) -> Tensor:
        """[B, Q, D] -> [B, H, Q, K]."""
        return self.split_heads(self.query(x))

    def project_memory(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """[B, S, D] -> keys and values, each [B, H, S, K]."""
        return self.split_heads(self.key(memory)), self.split_heads(self.value(memory))

    def join_heads(self, heads: Tensor) -> Tensor:
        """[B, H, Q, K] -> [B, Q, D], through W^O."""
        out: Tensor = self.output(heads.transpose(1, 2).flatten(-2))
        return out

    def attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        """Projected heads -> [B, Q, D]."""
        dropout = self.dropout if self.training else 0.0
        return self.join_heads(attention(query, key, value, mask, dropout))

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
        """Queries from `x` [B, Q, D], keys and values from `memory` [B, S, D] -> [B, Q, D]."""
        key, value = self.project_memory(memory)
        return self.attend(self.project_query(x), key, value, mask)
