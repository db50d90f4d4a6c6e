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
from model.decoding.scoring import NEVER
from model.decoding.strategy import Hypothesis


@dataclass(frozen=True, slots=True)
class Contest:
    """One segment's standing: who has finished best, and what a live sum is divided by to bound its score."""

    segment: int  # index in the layout of rows
    best: Hypothesis | None
    largest_penalty: float


def common_prefixes(contests: Sequence[Contest], rows: BeamRows) -> list[tuple[int, ...]]:
    """For each contest, the longest common prefix of every hypothesis that can still win."""
    if not contests:
        return []
    tokens, leaders, can_win = _live_tokens(contests, rows)  # [C, W, T], [C, T], [C, W]
    agree = ((tokens == leaders[:, None]) | ~can_win[:, :, None]).all(dim=1)
    shared = agree.long().cumprod(dim=1).sum(dim=1)
    held = [rows.filled[contest.segment] for contest in contests]  # beyond it stands padding
    lines = zip(contests, leaders.tolist(), shared.tolist(), held, can_win.any(dim=1).tolist(), strict=True)
    return [
        _with_best(contest.best, leader[: min(length, limit)] if lives else None)
        for contest, leader, length, limit, lives in lines
    ]


def leading_live(segments: Sequence[int], rows: BeamRows) -> list[tuple[int, ...]]:
    """For each segment, by its place in the layout, the tokens of the live row with the highest sum."""
    if not segments:
        return []
    tokens, sums = _grids(segments, rows)
    held = [rows.filled[segment] for segment in segments]
    leaders = _leaders(tokens, sums).tolist()
    return [tuple(leader[:limit]) for leader, limit in zip(leaders, held, strict=True)]


def _live_tokens(contests: Sequence[Contest], rows: BeamRows) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens [C, W, T] of the contests' slots, those of the slot with the best sum, and which can win."""
    tokens, sums = _grids([contest.segment for contest in contests], rows)
    penalties = sums.new_tensor([contest.largest_penalty for contest in contests])
    to_beat = sums.new_tensor([contest.best.score if contest.best else NEVER for contest in contests])
    return tokens, _leaders(tokens, sums), sums / penalties[:, None] > to_beat[:, None]


def _grids(segments: Sequence[int], rows: BeamRows) -> tuple[Tensor, Tensor]:
    """Tokens [C, W, T] and sums [C, W] of the slots of some segments."""
    held = max(rows.filled[segment] for segment in segments)
    places = torch.tensor(segments)
    tokens = rows.layout.grid(rows.token_ids[:, :held], 0)[places]
    return tokens, rows.layout.grid(rows.totals, NEVER)[places]


def _leaders(tokens: Tensor, sums: Tensor) -> Tensor:
    """The tokens [C, T] of the slot with the best sum."""
    best = sums.argmax(dim=1)
    return tokens[torch.arange(len(best)), best]


def _with_best(best: Hypothesis | None, live: list[int] | None) -> tuple[int, ...]:
    """The prefix shared by the best finished hypothesis and the common prefix of the live ones."""
    if best is None:
        return tuple(live or ())
    return best.token_ids if live is None else tuple(same_beginning(best.token_ids, live))


def same_beginning(first: Sequence[int], second: Sequence[int]) -> Sequence[int]:
    length = 0
    while length < min(len(first), len(second)) and first[length] == second[length]:
        length += 1
    return first[:length]
