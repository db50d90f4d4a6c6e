"""Which tokens sampling may draw: the filters, and what probability each kept token has.

Knows: log-probabilities, what each row asks. Must not know: seeds, segments, hypotheses.
Shapes: R rows, V vocabulary, K tokens looked at.

With p the softmax of a row's log-probabilities divided by its `temperature`, each filter looks at this same
p, and a token is kept if all of them keep it:
- `top_k`: it is among the k likeliest;
- `top_p`: the tokens likelier than it hold less than this mass together;
- `min_p`: p is at least `min_p` times the likeliest token's;
- `epsilon`: p is at least `epsilon`.
The likeliest token is always kept. Of equally likely ones the lower id counts as the likelier.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from model.decoding.options import DecodingOptions
from model.top_tokens import top_tokens
from model.transfers import to_device

# Filters keep few tokens as a rule: so many of the likeliest are looked at first, where `top_k` does not say.
FIRST_LOOK = 64


def is_filtered(options: DecodingOptions) -> bool:
    return bool(options.top_k or options.top_p < 1.0 or options.min_p or options.epsilon)


class Filters:
    """What rows that filter at all ask of each filter; derived anew when rows come or go."""

    def __init__(self, asked: Sequence[DecodingOptions], device: torch.device) -> None:
        def column(values: Iterable[float]) -> Tensor:
            return to_device(torch.tensor(list(values), dtype=torch.float64)[:, None], device)

        self._top_k = column(options.top_k or math.inf for options in asked)
        self._top_p = column(options.top_p if options.top_p < 1.0 else math.inf for options in asked)
        self._min_p = column(options.min_p for options in asked)
        self._epsilon = column(options.epsilon for options in asked)
        self._look = max((options.top_k + 1 if options.top_k else FIRST_LOOK for options in asked), default=0)

    def looks(self, num_tokens: int) -> tuple[int, ...]:
        """How many of the likeliest tokens to look at, one number after the other, until that is enough."""
        return tuple(min(count, num_tokens) for count in (self._look, 16 * self._look, num_tokens))

    def kept(self, logits: Tensor, rows: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Of some `rows` [N], with their `logits` [N, V] divided by the temperature: the `count` likeliest
        tokens in the order of their ids, the probability of each, 0 where it is dropped (both [N, K]), and
        for which rows [N] these are all that is kept.
        """
        _, token_ids = top_tokens(logits, count)
        # (Not by `logsumexp`, whose last bits depend on how many rows there are: threads share one row.)
        mass = torch.softmax(logits, dim=1).gather(1, token_ids).double()
        keeps = self._keeps(mass, rows)
        is_all = ~keeps[:, -1] | (count == logits.shape[1])
        return *_by_id(token_ids, mass * keeps, logits.shape[1]), is_all

    def _keeps(self, mass: Tensor, rows: Tensor) -> Tensor:
        """Which of the likeliest tokens of `rows`, whose `mass` [N, K] falls, are kept."""
        ranks = torch.arange(mass.shape[1], device=mass.device)
        likelier = pad(mass.cumsum(dim=1), (1, -1))
        least = torch.maximum(self._min_p[rows] * mass[:, :1], self._epsilon[rows])
        keeps = (ranks < self._top_k[rows]) & (likelier < self._top_p[rows]) & (mass >= least)
        return keeps | (ranks == 0)


def _by_id(token_ids: Tensor, mass: Tensor, num_tokens: int) -> tuple[Tensor, Tensor]:
    """The same in the order of ids; where all tokens are there, without sorting them once more."""
    if token_ids.shape[1] < num_tokens:
        token_ids, order = token_ids.sort(dim=1)
        return token_ids, mass.gather(1, order)
    every = torch.arange(num_tokens, device=mass.device).expand_as(token_ids)
    return every, torch.empty_like(mass).scatter_(1, token_ids, mass)
