"""What of a beam search can no longer change: the text that may be streamed before the search has ended.

Knows: rows, finished hypotheses, scores. Must not know: streams, text, when a search ends.

A hypothesis can still win if it is live and could outscore the best finished one, or is that one itself.
Whatever is answered in the end descends from these, so it begins with their longest common prefix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.decoding.beam_rows import BeamRows
from model.decoding.constraints import NEVER
from model.decoding.strategy import Hypothesis


@dataclass(frozen=True, slots=True)
class Contest:
    """One segment's standing: who has finished best, and what a live sum is divided by to bound its score."""

    segment: int  # index in the layout of rows
    best: Hypothesis | None
    largest_penalty: float


def common_prefixes(contests: Sequence[Contest], rows: BeamRows) -> list[tuple[int, ...]]:
    """For each contest, the longest common prefix of every hypothesis that can still win.

    One comparison on the device for all, one transfer of the prefixes to the host.
    """
    if not contests:
        return []
    tokens, can_win = _live_tokens(contests, rows)  # [C, W, T], [C, W]
    agree = ((tokens == tokens[:, :1]) | ~can_win[:, :, None]).all(dim=1)
    shared = agree.long().cumprod(dim=1).sum(dim=1)
    held = [rows.filled[contest.segment] for contest in contests]  # beyond it stands padding
    leaders, lengths, alive = tokens[:, 0].tolist(), shared.tolist(), can_win.any(dim=1).tolist()
    return [
        _with_best(contest.best, leader[: min(length, limit)] if lives else None)
        for contest, leader, length, limit, lives in zip(contests, leaders, lengths, held, alive, strict=True)
    ]


def _live_tokens(contests: Sequence[Contest], rows: BeamRows) -> tuple[Tensor, Tensor]:
    """Tokens [C, W, T] of the contests' slots, and which [C, W] of them can win. Slot 0 has the best sum."""
    device = rows.totals.device
    segments = torch.tensor([contest.segment for contest in contests], device=device)
    held = max(rows.filled[contest.segment] for contest in contests)
    tokens = rows.layout.grid(rows.token_ids[:, :held], 0)[segments]
    sums = rows.layout.grid(rows.totals, NEVER)[segments]
    penalties = sums.new_tensor([contest.largest_penalty for contest in contests])
    to_beat = sums.new_tensor([contest.best.score if contest.best else NEVER for contest in contests])
    return tokens, sums / penalties[:, None] > to_beat[:, None]


def _with_best(best: Hypothesis | None, live: list[int] | None) -> tuple[int, ...]:
    """The prefix shared by the best finished hypothesis and the common prefix of the live ones."""
    if best is None:
        return tuple(live or ())
    if live is None:
        return best.token_ids
    length = 0
    while length < min(len(live), len(best.token_ids)) and live[length] == best.token_ids[length]:
        length += 1
    return best.token_ids[:length]
