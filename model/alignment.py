"""What a finished target looked at: its cross-attention.

Knows: the network, token ids. Must not know: text, words, searches, requests.
Shapes: L decoder layers, H heads, T target, S source, K head width, D width.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor

from model.attention import MultiHeadAttention
from model.layers import DecoderLayer
from model.masks import causal_mask
from model.transformer import Transformer


def cross_attention(model: Transformer, source_ids: Sequence[int], target_ids: Sequence[int]) -> Tensor:
    """[L, H, T, S] in float32 on the CPU: row t is what was attended to when target token t was predicted.

    One pass with teacher forcing over the whole target. `source_ids` ends with `</s>`; so does `target_ids`
    where the hypothesis has ended by itself. The model is in eval mode. Raises `ValueError` for a source or a
    target that is empty or longer than the model's positions.
    """
    if not source_ids or not target_ids:
        raise ValueError(f"source and target need tokens, got {len(source_ids)} and {len(target_ids)}")
    if len(target_ids) > model.config.max_target_length:
        raise ValueError(f"{len(target_ids)} target tokens are more than {model.config.max_target_length}")
    source = torch.tensor([list(source_ids)], device=model.output.weight.device)
    memory = model.encode(source, torch.ones_like(source, dtype=torch.bool))
    _, weights = decoded_with_weights(model, memory, [model.config.decoder_start_id, *target_ids[:-1]])
    return weights.float().cpu()


def decoded_with_weights(
    model: Transformer, memory: Tensor, input_ids: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """`model.decode` of one sentence with its weights kept -> logits [T, V], weights [L, H, T, S].

    `memory` [1, S, D] comes from `encode`; `input_ids` is the start token and what follows it.
    """
    ids = torch.tensor([list(input_ids)], device=memory.device)
    x = model.target_embedding(ids, torch.arange(len(input_ids), device=memory.device))
    causal = causal_mask(len(input_ids), memory.device)
    every: list[Tensor] = []
    for layer in cast(Iterable[DecoderLayer], model.decoder):
        attend_self = partial(_attend_self, layer.self_attention, causal)
        x = layer.run(x, attend_self, partial(_attend_source, layer.cross_attention, memory, every))
    return model.output(model.decoder_norm(x))[0], torch.stack(every)


def _attend_self(block: MultiHeadAttention, causal: Tensor, y: Tensor) -> Tensor:
    out: Tensor = block(y, y, causal)
    return out


def _attend_source(block: MultiHeadAttention, memory: Tensor, every: list[Tensor], y: Tensor) -> Tensor:
    """Attention over the source, spelled out so that its weights [H, T, S] can be kept in `every`."""
    query, (key, value) = block.project_query(y), block.project_memory(memory)
    scores = torch.matmul(query, key.transpose(-1, -2)) * query.shape[-1] ** -0.5
    weights = torch.softmax(scores, dim=-1)
    every.append(weights[0])
    out: Tensor = block.output(torch.matmul(weights, value).transpose(1, 2).flatten(-2))
    return out
