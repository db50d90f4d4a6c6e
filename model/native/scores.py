"""What a native step says of every row's next token, without log-probabilities [R, V] until someone asks.

Knows: logits, their log-sum-exp and their largest by block. Must not know: how they came about, strategies.
Shapes: R rows, S source tokens, V vocabulary, N barred pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from model.beam_step import BeamStep, extend_beams, tokens_to_look_at
from model.step_scores import DenseScores


@dataclass(frozen=True, slots=True)
class NativeScores:
    """`StepScores` of R rows: `logits` [R, V], `log_sums` [R], `block_max` [R, V / 64 rounded up].

    A log-probability is logit - log_sum, in float32. All of it is valid until the network's next step.
    """

    logits: Tensor
    log_sums: Tensor
    block_max: Tensor
    attention: Tensor | None = None

    def log_probs(self) -> Tensor:
        """[R, V], in place of the logits: nothing else may be asked of the scores afterwards."""
        return self.logits.sub_(self.log_sums[:, None])

    def top(self, count: int, barred: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return DenseScores(self.logits - self.log_sums[:, None]).top(count, barred)

    def extend_beams(
        self, widths: Sequence[int], totals: Sequence[float], eos_id: int, barred: Tensor | None = None
    ) -> BeamStep:
        values, token_ids = self.top(tokens_to_look_at(widths), barred)
        return extend_beams(widths, totals, values, token_ids, eos_id)

    def of_rows(self, rows: Tensor) -> DenseScores:
        attention = None if self.attention is None else self.attention[rows]
        return DenseScores(self.logits[rows] - self.log_sums[rows, None], attention)
