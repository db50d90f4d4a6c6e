"""How much of the source has been attended to: the coverage penalty of Wu et al. 2016, equation 14.

Knows: attention to source tokens, rows. Must not know: which layer it comes from, options, stopping.
Shapes: R rows, S source tokens.

    cp(X; Y) = beta * sum over source tokens i of log(min(sum over predictions j of p_ij, 1))

p_ij is what prediction j attended to source token i. Every prediction of Y counts, that of `</s>` too, and
every token of X, its `</s>` too. A sum below `LEAST` counts as that, so that the logarithm is finite. cp is
at most 0, and 0 when every source token was attended to as much as one whole prediction.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from model.transfers import to_device, to_host

LEAST = 1e-10


class Coverage:
    """Sums of attention by row and source token; no columns are held while nobody asks."""

    def __init__(self, device: torch.device) -> None:
        self.sums = torch.zeros(0, 0, dtype=torch.float64, device=device)  # [R, S]

    def add_rows(self, count: int) -> None:
        self.sums = pad(self.sums, (0, 0, 0, count))

    def attend(self, attention: Tensor) -> None:
        """The prediction that is now made attended to `attention` [R, S]. Sources may have become shorter."""
        missing = attention.shape[1] - self.sums.shape[1]
        self.sums = pad(self.sums, (0, missing)) + attention.double()

    def choose_rows(self, rows: Tensor) -> None:
        """Row r becomes what row `rows[r]` held. `rows` are on the host."""
        self.sums = self.sums[to_device(rows, self.sums.device)]

    def forget(self) -> None:
        self.sums = self.sums[:, :0]

    def logs(self, rows: Tensor, source_lengths: Tensor) -> list[float]:
        """cp without its beta for each of `rows` [N], whose sources have `source_lengths` [N] tokens."""
        (sums,) = to_host(self.sums[to_device(rows, self.sums.device)].clamp(LEAST, 1.0))
        lines = zip(sums.tolist(), source_lengths.tolist(), strict=True)
        # On the host: a tensor's logarithms and sums have other last bits beside a longer source.
        return [math.fsum(map(math.log, line[:length])) for line, length in lines]
