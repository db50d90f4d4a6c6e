"""Greedy search: the likeliest token at every step, one row per segment.

Knows: log-probabilities. Must not know: segments, the network, caches, requests.
Of equally likely tokens the lowest id wins.
"""

from __future__ import annotations

from torch import Tensor

from model.decoding.constraints import Scores
from model.decoding.single_row import Choice, RuledRowStrategy
from model.transfers import to_host


class GreedyStrategy(RuledRowStrategy):
    """All live greedy segments; see `Strategy`."""

    def _choose(self, scores: Scores) -> tuple[Tensor, list[Choice]]:
        best = scores.counted.max(dim=-1)  # of equals torch answers the first: the lowest token id
        own = scores.own.gather(1, best.indices[:, None])[:, 0] if scores.differ else best.values
        columns = to_host(best.indices, own, best.values)
        return columns[0], list(map(Choice, *(column.tolist() for column in columns)))
