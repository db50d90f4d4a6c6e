"""The scores of a step that was computed for one search step alone: dense, and told to the cache where
beams go on.

Knows: log-probabilities, beams. Must not know: the device's state.
Shapes: R rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from model.beam_step import BeamStep
from model.step_scores import DenseScores

NoteTotals = Callable[[Sequence[int], Sequence[float]], None]


@dataclass(frozen=True, slots=True)
class NotedScores:
    """`DenseScores` of which `note` hears what sums the beams on `rows` have: steps computed ahead begin
    with them."""

    dense: DenseScores
    rows: list[int]
    note: NoteTotals

    @property
    def attention(self) -> Tensor | None:
        return self.dense.attention

    def log_probs(self) -> Tensor:
        return self.dense.log_probs()

    def top(self, count: int, barred: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.dense.top(count, barred)

    def extend_beams(
        self, widths: Sequence[int], totals: Sequence[float], eos_id: int, barred: Tensor | None = None
    ) -> BeamStep:
        step = self.dense.extend_beams(widths, totals, eos_id, barred)
        self.note(self.rows, step.totals)
        return step

    def of_rows(self, rows: Tensor) -> NotedScores:
        chosen = [self.rows[row] for row in rows.tolist()]
        return NotedScores(self.dense.of_rows(rows), chosen, self.note)
