"""Attention of one new position per row over keys and values that lie in places.

Knows: pools, places, ancestors. Must not know: weights, layers, searches. This is the plain way, of tensors
that are gathered first: what faster ways (see attend_kernels.py) are held against.
Shapes: R rows, G segments, W rows of the widest segment, H heads, K head width, N places, T and S positions.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from model.attention import attention_weights
from model.cuda.shapes import StepShape
from model.cuda.state import StateView


class Attend(Protocol):
    """One way to attend. `any_room`: it reads what is filled and no more, whatever room the shape has."""

    any_room: bool

    def to_target(self, new: Tensor, pool: Tensor, state: StateView, shape: StepShape) -> Tensor:
        """`new` [R, 3, H, K]: query, key and value of each row's new position. Key and value are put in their
        place in `pool` [2, N, T, H, K], and the query asks all `length` + 1 positions, which `ancestors`
        finds there -> [R, H, K]."""

    def to_source(self, query: Tensor, pool: Tensor, state: StateView, shape: StepShape) -> Tensor:
        """`query` [R, H, K] over the sources of the rows' segments in `pool` [2, N, S, H, K] -> [R, H, K]."""


class GatheredAttend:
    """See `Attend`. The rows of a segment are queries of one attention over its source."""

    any_room = False

    def to_target(self, new: Tensor, pool: Tensor, state: StateView, shape: StepShape) -> Tensor:
        query, key, value = new.unbind(1)
        pool[0][state.place, state.length] = key
        pool[1][state.place, state.length] = value
        positions = torch.arange(shape.target_room, device=query.device)
        places = state.ancestors[:, : shape.target_room].long()
        mask = positions <= state.length[:, None]
        keys, values = _filled_only(pool[:, places, positions], mask)  # [R, T, H, K]
        out = F.scaled_dot_product_attention(
            query[:, :, None], keys.transpose(1, 2), values.transpose(1, 2), attn_mask=mask[:, None, None]
        )
        return out[:, :, 0]

    def to_source(self, query: Tensor, pool: Tensor, state: StateView, shape: StepShape) -> Tensor:
        grid = query.new_zeros(shape.segments + 1, shape.width, *query.shape[1:])
        grid[state.segment, state.member] = query
        keys, values = _sources(pool, state, shape)
        mask = _source_mask(state, shape)
        out = F.scaled_dot_product_attention(grid.transpose(1, 2), keys, values, attn_mask=mask)
        return out.transpose(1, 2)[state.segment, state.member]


def source_weights(query: Tensor, pool: Tensor, state: StateView, shape: StepShape) -> Tensor:
    """How much each row's `query` [R, H, K] attends to each source position, averaged over the heads [R,
    S]."""
    keys, _ = _sources(pool, state, shape)
    mask = _source_mask(state, shape)
    weights = attention_weights(query[:, :, None], keys[state.segment], mask[state.segment])
    return weights[:, :, 0].mean(dim=1)


def _sources(pool: Tensor, state: StateView, shape: StepShape) -> tuple[Tensor, Tensor]:
    """Keys and values of all segments [G + 1, H, S, K]."""
    found = _filled_only(pool[:, state.source, : shape.source_room], _source_mask(state, shape)[:, 0, 0])
    return found[0].transpose(1, 2), found[1].transpose(1, 2)


def _source_mask(state: StateView, shape: StepShape) -> Tensor:
    """[G + 1, 1, 1, S]"""
    positions = torch.arange(shape.source_room, device=state.source.device)
    return (positions < state.source_length[:, None])[:, None, None]


def _filled_only(found: Tensor, mask: Tensor) -> Tensor:
    """`found` [2, N, T, H, K] with zeros, in place, where `mask` [N, T] is False: there may stand what a
    former tenant left, and an infinity or what is no number would come through any mask."""
    return found.masked_fill_(~mask[..., None, None], 0.0)
