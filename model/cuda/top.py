"""The likeliest tokens of every row without a look at the host, in the order of `model.top_tokens`.

Knows: log-probabilities. Must not know: searches, rules.
Shapes: R rows, V vocabulary, C tokens looked at, B blocks.

A token among the best C stands in one of the C blocks with the best maxima (of equal ones the first): a block
before its own holds a better token. So blocks are sorted by their maxima, and then only what stands in those
few. Sorts are stable, and tokens stand in the order of their ids: of equals the lower comes first.
"""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 64  # tokens
NEVER = float("-inf")


def top_without_waiting(log_probs: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Values and ids [R, C], higher first, of equals the lower id first. Rows of fewer than C tokens are
    filled up with -inf; a row with a number that is none begins with it."""
    num_tokens = log_probs.shape[1]
    best = torch.sort(_block_maxima(log_probs), dim=1, descending=True, stable=True).indices[:, :count]
    blocks = best.sort(dim=1).values  # tokens in the order of ids again
    ids = (blocks[:, :, None] * BLOCK + torch.arange(BLOCK, device=log_probs.device)).flatten(1)
    beyond = ids >= num_tokens
    ids = ids.clamp(max=num_tokens - 1)
    values = log_probs.gather(1, ids).masked_fill(beyond, NEVER)
    ordered = torch.sort(values, dim=1, descending=True, stable=True)
    return ordered.values[:, :count], ids.gather(1, ordered.indices[:, :count])


def _block_maxima(log_probs: Tensor) -> Tensor:
    """[R, B]"""
    whole = log_probs.shape[1] // BLOCK * BLOCK
    maxima = log_probs[:, :whole].view(len(log_probs), -1, BLOCK).amax(2) if whole else log_probs[:, :0]
    if whole == log_probs.shape[1]:
        return maxima
    return torch.cat((maxima, log_probs[:, whole:].amax(1, keepdim=True)), dim=1)
