"""The likeliest tokens of every row, in an order that is total: higher log-probability, then lower token id.

Knows: log-probabilities. Must not know: searches, rules, the network.
Shapes: R rows, V vocabulary, C tokens looked at, B blocks.

On a device, without a look at the host: a token among the best C stands in one of the C blocks with the best
maxima (of equal ones the first), since a block before its own holds a better token. So blocks are sorted by
their maxima, and then only what stands in those few. Sorts are stable, and tokens stand in the order of their
ids: of equals the lower comes first.
"""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 64  # tokens
NEVER = float("-inf")


def top_tokens(log_probs: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` likeliest tokens of every row: values and ids [R, count], of equals the lower id first.

    `torch.topk` leaves open the order of equals, and which of them it keeps. Equals are rare among the top
    few, so only the rows that have some are sorted in full; which these are, only a processor can ask.
    """
    num_tokens = log_probs.shape[1]
    if count == 1:  # of equals `max` answers the first
        likeliest = log_probs.max(dim=1, keepdim=True)
        return likeliest.values, likeliest.indices
    if count >= num_tokens:
        everything = torch.sort(log_probs, dim=1, descending=True, stable=True)
        return everything.values, everything.indices
    if log_probs.device.type != "cpu":
        return top_without_waiting(log_probs, count)
    values, token_ids = torch.topk(log_probs, min(count + 1, num_tokens))
    equal = (values[:, 1:] == values[:, :-1]) & (values[:, 1:] > NEVER)
    tied = equal.any(dim=1).nonzero()[:, 0]
    if len(tied):
        ordered = torch.sort(log_probs[tied], dim=1, descending=True, stable=True)
        values[tied] = ordered.values[:, : values.shape[1]]
        token_ids[tied] = ordered.indices[:, : values.shape[1]]
    return values[:, :count], token_ids[:, :count]


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
