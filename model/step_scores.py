"""What one step of a network says of every row's next token: the seam between networks and strategies.

Knows: log-probabilities, rows. Must not know: how a network comes by them, strategies, rules.
Shapes: R rows, S source tokens, V vocabulary, N barred pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from model.beam_step import NEVER, BeamStep, extend_beams, tokens_to_look_at
from model.top_tokens import top_tokens
from model.transfers import to_device, to_host


class StepScores(Protocol):
    """The scores of R rows. They are valid until the network's next step.

    `log_probs` and `top` agree bit for bit: both subtract the row's log-sum-exp from the logit in float32
    (float64 where the network computes in it).
    """

    @property
    def attention(self) -> Tensor | None:
        """What each row attended to in its source [R, S], if the step was watched; padding has 0."""

    def log_probs(self) -> Tensor:
        """Of every token [R, V]. The caller may overwrite them, and then asks for nothing more."""

    def top(self, count: int, barred: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The `count` likeliest tokens of every row (all, where there are fewer): log-probabilities and ids
        [R, count], higher first, of equals the lower id first; which of those that are -inf is left open.
        A network that can, does it without [R, V].

        `barred` [2, N] are pairs of a row and a token (on the host) whose log-probability counts as -inf.
        """

    def extend_beams(
        self, widths: Sequence[int], totals: Sequence[float], eos_id: int, barred: Tensor | None = None
    ) -> BeamStep:
        """One step of beams of these `widths` [U], whose rows are all R, with the sums `totals` [R]: see
        `model.beam_step.extend_beams`."""

    def of_rows(self, rows: Tensor) -> StepScores:
        """The same of some `rows` (on the host), in their order."""


@dataclass(frozen=True, slots=True)
class DenseScores:
    """Scores that lie in memory as `dense` [R, V] log-probabilities."""

    dense: Tensor
    attention: Tensor | None = None

    def log_probs(self) -> Tensor:
        return self.dense

    def top(self, count: int, barred: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if barred is None:
            return top_tokens(self.dense, count)
        rows, token_ids = to_device(barred, self.dense.device)
        places = (rows, token_ids)
        own = self.dense[places]
        self.dense[places] = NEVER
        best = top_tokens(self.dense, count)
        self.dense[places] = own  # cheaper than a copy of [R, V]
        return best

    def extend_beams(
        self, widths: Sequence[int], totals: Sequence[float], eos_id: int, barred: Tensor | None = None
    ) -> BeamStep:
        values, token_ids = to_host(*self.top(tokens_to_look_at(widths), barred))
        return extend_beams(widths, totals, values, token_ids, eos_id)

    def of_rows(self, rows: Tensor) -> DenseScores:
        own = to_device(rows, self.dense.device)
        return DenseScores(self.dense[own], None if self.attention is None else self.attention[own])
