"""Steps that were computed ahead, told to the search one by one as if each were computed when it is asked
for.

Knows: what the device tells of a step, which rows are still there. Must not know: the device, the network.
Rows are numbered twice: as the block knew them, and as the search knows them now that others have left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from model.beam_step import BeamStep, End
from model.cuda.select import TOLD


@dataclass(frozen=True, slots=True)
class ToldStep:
    """One step of R rows; see `Told`."""

    parents: list[int]
    token_ids: list[int]
    log_probs: list[float]
    totals: list[float]
    end_rows: list[int]
    end_totals: list[float]
    highest: list[float]
    best_values: list[float]
    best_ids: list[int]

    @classmethod
    def of(cls, told: Tensor) -> ToldStep:
        """From a record [F, R] on the host."""
        whole = told[[TOLD.parent, TOLD.token, TOLD.end_row, TOLD.best_id]].long().tolist()
        parents, token_ids, end_rows, best_ids = whole
        numbers = told[[TOLD.log_prob, TOLD.total, TOLD.end_total, TOLD.highest, TOLD.best_value]].tolist()
        log_probs, totals, end_totals, highest, best_values = numbers
        return cls(
            parents, token_ids, log_probs, totals, end_rows, end_totals, highest, best_values, best_ids
        )

    def of_rows(self, rows: Sequence[int]) -> ToldStep:
        """Of some rows, whole beams, numbered anew."""
        number = {row: place for place, row in enumerate(rows)}
        return ToldStep(
            [number[self.parents[row]] for row in rows],
            [self.token_ids[row] for row in rows],
            [self.log_probs[row] for row in rows],
            [self.totals[row] for row in rows],
            [number[end] if (end := self.end_rows[row]) >= 0 else -1 for row in rows],
            [self.end_totals[row] for row in rows],
            [self.highest[row] for row in rows],
            [self.best_values[row] for row in rows],
            [self.best_ids[row] for row in rows],
        )

    @property
    def moves(self) -> bool:
        return self.parents != list(range(len(self.parents)))


class ForeseenOtherwise(RuntimeError):
    """A search asks what was not computed: it is not the plain one that it was said to be."""


@dataclass(frozen=True, slots=True)
class ToldScores:
    """What plain searches ask of a step's scores (see `StepScores`), answered from what was computed ahead.

    `totals` [R] are the sums that the step began with. Tensors are on the host.
    """

    step: ToldStep
    totals: list[float]
    attention: Tensor | None = None

    def log_probs(self) -> Tensor:
        raise ForeseenOtherwise("log-probabilities of all tokens were not kept")

    def top(self, count: int, barred: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """One for each row. What is barred was known when the step was computed."""
        if count != 1:
            raise ForeseenOtherwise(f"the likeliest token of each row was kept, not {count}")
        values = torch.tensor(self.step.best_values, dtype=torch.double)
        return values[:, None], torch.tensor(self.step.best_ids)[:, None]

    def extend_beams(
        self, widths: Sequence[int], totals: Sequence[float], eos_id: int, barred: Tensor | None = None
    ) -> BeamStep:
        step = self.step
        if list(totals) != self.totals:
            raise ForeseenOtherwise("beams have other sums than those that were extended")
        ends, firsts, row = list[End](), list[int](), 0
        for beam, width in enumerate(widths):
            firsts.append(row)
            last = row + width
            ends += [
                End(beam, step.end_rows[r], step.end_totals[r])
                for r in range(row, last)
                if step.end_rows[r] >= 0
            ]
            row = last
        return BeamStep(
            parents=step.parents,
            token_ids=step.token_ids,
            log_probs=step.log_probs,
            totals=step.totals,
            ends=ends,
            best_live=[step.totals[first] for first in firsts],
            highest=[step.highest[first] for first in firsts],
            moves=torch.tensor(step.parents) if step.moves else None,
            tokens=torch.tensor(step.token_ids),
        )

    def of_rows(self, rows: Tensor) -> ToldScores:
        chosen = rows.tolist()
        return replace(self, step=self.step.of_rows(chosen), totals=[self.totals[row] for row in chosen])


class Block:
    """Steps computed ahead: `told` [A, F, R] of the rows as the device has them; `asked` are told so far."""

    def __init__(
        self, told: Tensor, rows: list[int], totals: list[float], lengths: list[int], before: Tensor
    ) -> None:
        """`rows` are those that are still here, by the device's numbers, and `totals` their sums; `lengths`
        [R] are the positions that each held at its beginning, `before` the ancestors that they had."""
        self._told, self.lengths, self.before = told, lengths, before
        self.asked = 0
        self.rows = rows
        self.totals = totals
        self.moves: list[list[int]] = []  # parents of the steps told, among all rows of the block
        self.step: ToldStep | None = None  # the last one told, of the rows that were still here
        self.has_moved = False

    @property
    def num_left(self) -> int:
        return len(self._told) - self.asked

    def tell(self) -> ToldScores:
        """The next step."""
        every = ToldStep.of(self._told[self.asked])
        self.step = every if len(self.rows) == len(every.parents) else every.of_rows(self.rows)
        scores = ToldScores(self.step, self.totals)
        self.totals, self.has_moved = self.step.totals, not self.step.moves
        self.moves.append(every.parents)
        self.asked += 1
        return scores

    def expects(self, token_ids: Sequence[int]) -> bool:
        """Whether the search, about to extend its rows by these tokens, has done what was computed."""
        return self.step is not None and self.has_moved and self.step.token_ids == token_ids

    def moved(self, parents: Sequence[int]) -> bool:
        """The search reorders its rows; whether as was computed."""
        self.has_moved = self.step is not None and self.step.parents == parents
        return self.has_moved

    def keep(self, rows: Sequence[bool]) -> None:
        """Rows leave, whole segments of them."""
        kept = [place for place, stays in enumerate(rows) if stays]
        self.rows, self.totals = [self.rows[i] for i in kept], [self.totals[i] for i in kept]
        if self.step is not None:
            self.step = self.step.of_rows(kept)
