"""Which continuations of a beam end, and which live on: steps 2 and 3 of beam search (see beam.py).

Knows: candidates of beams, ranks. Must not know: hypotheses, options, stopping.
Shapes: U beams (each a group of a segment's rows), N candidates of each, W rows of the widest.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from model.decoding.candidates import Candidates, RowLayout
from model.decoding.scoring import NEVER


@dataclass(frozen=True, slots=True)
class Picks:
    """One step of every beam: `candidates` [U, N] and which of them `ends` finish a hypothesis; the `chosen`
    [U, W] that live on, by slot, where there is one (`alive`)."""

    candidates: Candidates
    ends: Tensor
    chosen: Candidates
    alive: Tensor

    @classmethod
    def of(cls, candidates: Candidates, layout: RowLayout, eos_id: int) -> Picks:
        """The ends among the first b candidates of a beam of b rows, and the first b that do not end."""
        rank = torch.arange(candidates.totals.shape[1])
        is_end = candidates.token_ids == eos_id
        possible = candidates.totals > NEVER
        # Live ones need no rank: with one end per row, the first b that go on are among the first 2 b.
        ends = is_end & possible & (rank < layout.widths[:, None])
        return cls(candidates, ends, *_living(candidates, ~is_end & possible, layout))

    @property
    def best_live(self) -> Tensor:
        """The highest sum that lives on in each beam [U], -inf where none does."""
        return torch.where(self.alive, self.chosen.totals, NEVER).amax(dim=1)

    def where(self, beams: Tensor, other: Picks) -> Picks:
        """These picks for the `beams` [U] that are True, the other's for the rest."""
        mine = beams[:, None]
        return Picks(
            _where(mine, self.candidates, other.candidates),
            torch.where(mine, self.ends, other.ends),
            _where(mine, self.chosen, other.chosen),
            torch.where(mine, self.alive, other.alive),
        )


def _living(candidates: Candidates, live: Tensor, layout: RowLayout) -> tuple[Candidates, Tensor]:
    """The first W of the `live` [U, N], and whether there are so many; no more than the beam is wide."""
    picks = torch.sort(live.byte(), dim=1, descending=True, stable=True).indices[:, : layout.widest]
    is_slot = torch.arange(picks.shape[1]) < layout.widths[:, None]
    return candidates.gather(picks), live.gather(1, picks) & is_slot


def _where(mine: Tensor, first: Candidates, second: Candidates) -> Candidates:
    pairs = (
        (first.totals, second.totals),
        (first.log_probs, second.log_probs),
        (first.rows, second.rows),
        (first.token_ids, second.token_ids),
    )
    return Candidates(*(torch.where(mine, a, b) for a, b in pairs))
