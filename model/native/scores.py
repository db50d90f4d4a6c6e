"""What a native step says of every row's next token, without log-probabilities [R, V] until someone asks.

Knows: logits, their log-sum-exp and their largest by block. Must not know: how they came about, strategies.
Shapes: R rows, U beams, S source tokens, V vocabulary, N barred pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from model.beam_step import BeamStep
from model.native import selection
from model.native.binding import Library, StepLogits


@dataclass(frozen=True, slots=True)
class NativeScores:
    """`StepScores` of the rows of a step, or of the `chosen` [R] ones: `logits` [rows, V], `log_sums` [rows],
    `block_max` [rows, V / 64 rounded up], each contiguous.

    A log-probability is logit - log_sum, in float32. All of it is valid until the network's next step. Where
    a log-sum is not finite, no log-probability of that row is a number.
    """

    library: Library
    logits: Tensor
    log_sums: Tensor
    block_max: Tensor
    attention: Tensor | None = None
    chosen: Tensor | None = None

    def log_probs(self) -> Tensor:
        """[R, V]; of all rows they take the place of the logits, which nothing may be asked of afterwards."""
        if self.chosen is None:
            return self.logits.sub_(self.log_sums[:, None])
        return self.logits[self.chosen] - self.log_sums[self.chosen, None]

    def top(self, count: int, barred: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return selection.top(self.library, self._given(barred), min(count, self.logits.shape[1]))

    def extend_beams(
        self, widths: Sequence[int], totals: Sequence[float], eos_id: int, barred: Tensor | None = None
    ) -> BeamStep:
        return selection.extend_beams(self.library, self._given(barred), widths, totals, eos_id)

    def of_rows(self, rows: Tensor) -> NativeScores:
        chosen = rows if self.chosen is None else self.chosen[rows]
        attention = None if self.attention is None else self.attention[rows]
        return NativeScores(
            self.library, self.logits, self.log_sums, self.block_max, attention, chosen.contiguous()
        )

    def _given(self, barred: Tensor | None) -> StepLogits:
        asked = self.logits if self.chosen is None else self.chosen
        return StepLogits(
            self.logits.data_ptr(),
            self.log_sums.data_ptr(),
            self.block_max.data_ptr(),
            None if self.chosen is None else self.chosen.data_ptr(),
            None if barred is None else barred.data_ptr(),
            self.logits.shape[1],
            asked.shape[0],
            0 if barred is None else barred.shape[1],
        )
