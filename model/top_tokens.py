"""The likeliest tokens of every row, in an order that is total: higher log-probability, then lower token id.

Knows: log-probabilities. Must not know: searches, rules, the network.
Shapes: R rows, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor


def top_tokens(log_probs: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` likeliest tokens of every row: values and ids [R, count], of equals the lower id first.

    `torch.topk` leaves open the order of equals, and which of them it keeps. Equals are rare among the top
    few, so only the rows that have some are sorted in full.
    """
    num_tokens = log_probs.shape[1]
    if count == 1:  # of equals `max` answers the first
        likeliest = log_probs.max(dim=1, keepdim=True)
        return likeliest.values, likeliest.indices
    if count >= num_tokens:
        everything = torch.sort(log_probs, dim=1, descending=True, stable=True)
        return everything.values, everything.indices
    values, token_ids = torch.topk(log_probs, min(count + 1, num_tokens))
    equal = (values[:, 1:] == values[:, :-1]) & (values[:, 1:] > float("-inf"))
    tied = equal.any(dim=1).nonzero()[:, 0]
    if len(tied):
        ordered = torch.sort(log_probs[tied], dim=1, descending=True, stable=True)
        values[tied] = ordered.values[:, : values.shape[1]]
        token_ids[tied] = ordered.indices[:, : values.shape[1]]
    return values[:, :count], token_ids[:, :count]
