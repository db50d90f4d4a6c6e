"""Every mask of the network, in one convention: boolean, True means "may attend".

Knows: padding, causality, and how ragged id lists become one padded tensor. Must not know: weights, text.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def pad_batch(sequences: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Ragged ids to `ids` [B, S] (long) and `mask` [B, S] (True where a real token stands).

    Raises `ValueError` when there is no sequence, or when one is empty: attention over nothing is undefined.
    """
    lengths = [len(sequence) for sequence in sequences]
    if not lengths or min(lengths) == 0:
        raise ValueError("pad_batch needs at least one sequence, each with at least one token")
    longest = max(lengths)
    ids = torch.tensor([[*sequence, *[pad_id] * (longest - len(sequence))] for sequence in sequences])
    return ids, torch.arange(longest)[None, :] < torch.tensor(lengths)[:, None]


def attend_to_source(source_mask: Tensor) -> Tensor:
    """[B, S] -> [B, 1, 1, S]: every head and every query may see the real source tokens."""
    return source_mask[:, None, None, :]


def causal_mask(num_positions: int, device: torch.device | None = None) -> Tensor:
    """[T, T]: position t may attend to positions 0..t (section 3.2.3 of the paper)."""
    return torch.ones(num_positions, num_positions, dtype=torch.bool, device=device).tril()


def filled_mask(lengths: Tensor, capacity: int) -> Tensor:
    """Lengths [R] -> [R, 1, 1, capacity]: a row sees the cache slots that it has filled."""
    return (torch.arange(capacity, device=lengths.device)[None, :] < lengths[:, None])[:, None, None, :]
