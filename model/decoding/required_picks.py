"""Beam search with phrases that must be written: places dealt to hypotheses by how far they have come.

Knows: what each row of such a beam has written of its phrases. Must not know: finishing, stopping, options.

This is dynamic beam allocation (Post and Vilar 2018) with the places dealt in turns. One step of a beam of b
rows, in place of steps 1 to 3 of beam.py:
1. Candidates are all continuations after which the tokens still missing (see required.py) fit under the
   length limit, and those with `</s>` only where none is missing. Inside a forced prefix, its next token.
2. Candidates with `</s>` that stand among the first b of those with nothing missing are finished.
3. The others lie in banks, one for each number of missing tokens. The fewest missing first, each bank gives
   its best candidate, in turns, until b are chosen. These are the live rows, ordered by their sums.

Every row has a candidate that is missing less than it does, so the limit leaves room to the end: the
phrases are forced in time. It runs on the host: of few rows, the likeliest tokens and those of phrases.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from model.decoding.constraints import Scores
from model.decoding.picks import Picks
from model.decoding.required import Progress, RequiredPhrases
from model.decoding.scoring import NEVER
from model.top_tokens import top_tokens
from model.transfers import to_device, to_host


class Continuation(NamedTuple):
    """A row of the batch, written on with a token. They sort as candidates do, the best first."""

    loss: float  # the sum of log-probabilities, negated
    row: int
    token_id: int
    log_prob: float  # as the model has it
    missing: int
    progress: Progress


@dataclass(slots=True)
class RequiredBeam:
    """One beam whose hypotheses must contain `phrases`, and what each of its rows, by slot, has written."""

    phrases: RequiredPhrases
    width: int
    prefix_length: int
    max_length: int
    progress: list[Progress] = field(init=False)

    def __post_init__(self) -> None:
        self.progress = [self.phrases.start] * self.width

    def choose(
        self, every: Iterable[Continuation], num_held: int, eos_id: int
    ) -> tuple[list[Continuation], list[Continuation]]:
        """Which continuations of rows that hold `num_held` tokens end, and which live on; all best first."""
        room = self.max_length - num_held - 1 if num_held >= self.prefix_length else math.inf
        fitting = sorted(one for one in every if one.missing <= room)
        complete = [one for one in fitting if one.missing == 0]
        ends = [one for one in complete[: self.width] if one.token_id == eos_id]
        living = sorted(self._dealt([one for one in fitting if one.token_id != eos_id]))
        self.progress = [one.progress for one in living]
        return ends, living

    def _dealt(self, fitting: Sequence[Continuation]) -> list[Continuation]:
        """Step 3: one of each bank in turns, as many as there are places."""
        banks: dict[int, list[Continuation]] = {}
        for one in fitting:
            banks.setdefault(one.missing, []).append(one)
        turns = max(map(len, banks.values()), default=0)
        in_turns = (banks[missing][turn : turn + 1] for turn in range(turns) for missing in sorted(banks))
        return [one for given in in_turns for one in given][: self.width]


class RequiredBeams:
    """The beams of a batch that have phrases to write, each standing at its place among all beams."""

    def __init__(self, beams: dict[int, RequiredBeam], first_rows: Sequence[int], eos_id: int) -> None:
        """`beams` by place; `first_rows` by place of every beam of the batch."""
        self._beams, self._eos_id = beams, eos_id
        self._rows = [first_rows[place] + slot for place, beam in beams.items() for slot in range(beam.width)]

    def override(self, picks: Picks, totals: Tensor, scores: Scores, num_held: Sequence[int]) -> None:
        """Put their choices, in place, where `picks` has what an ordinary beam would choose.

        `totals` [R] are the sums of all rows, `num_held` the tokens of each beam's rows, by place.
        """
        lines = iter(self._look(totals, scores))
        for place, beam in self._beams.items():
            every = [
                one for progress in _by_slot(beam) for one in self._continue(beam, progress, next(lines))
            ]
            if any(math.isnan(one.loss) for one in every):
                picks.candidates.totals[place] = math.nan
                continue
            ends, living = beam.choose(every, num_held[place], self._eos_id)
            _write(picks, place, ends, living)

    def _look(self, totals: Tensor, scores: Scores) -> list[_Row]:
        """What is needed of every row, in one transfer: the likeliest tokens and those of its phrases."""
        wanted = [
            sorted(beam.phrases.next_tokens(progress)) if progress else []
            for beam in self._beams.values()
            for progress in _by_slot(beam)
        ]
        most = max(map(len, wanted))
        device, rows = scores.counted.device, torch.tensor(self._rows)
        places = to_device(rows, device)
        counted, own = scores.counted[places], scores.own[places]
        count = max(beam.width for beam in self._beams.values()) + 1 + most
        likeliest = top_tokens(counted, count)[1]
        padded = [[*tokens, *[self._eos_id] * (most - len(tokens))] for tokens in wanted]
        extra = to_device(torch.tensor(padded, dtype=torch.long).view(len(rows), most), device)
        token_ids = torch.cat((likeliest, extra), dim=1)
        told = to_host(token_ids, counted.gather(1, token_ids), own.gather(1, token_ids))
        parts = torch.cat((totals[rows][:, None], *(one.double() for one in told)), dim=1).tolist()
        return [_Row.of(row, line) for row, line in zip(self._rows, parts, strict=True)]

    def _continue(self, beam: RequiredBeam, progress: Progress | None, row: _Row) -> Iterable[Continuation]:
        if progress is None or row.total == NEVER:
            return
        for token_id, (counted, own) in row.tokens.items():
            if counted == NEVER:
                continue
            after = progress if token_id == self._eos_id else beam.phrases.after(progress, token_id)
            missing = beam.phrases.num_missing(after)
            yield Continuation(-(row.total + counted), row.row, token_id, own, missing, after)


@dataclass(frozen=True, slots=True)
class _Row:
    """A row, its sum, and its tokens with what they count and what the model says of them."""

    row: int
    total: float
    tokens: dict[int, tuple[float, float]]

    @classmethod
    def of(cls, row: int, line: Sequence[float]) -> _Row:
        size = (len(line) - 1) // 3
        token_ids, counted, own = (line[1 + part * size : 1 + (part + 1) * size] for part in range(3))
        values = zip(counted, own, strict=True)
        return cls(row, line[0], dict(zip(map(int, token_ids), values, strict=True)))


def _by_slot(beam: RequiredBeam) -> list[Progress | None]:
    """The progress of each of the beam's rows, None where no beam is."""
    return [*beam.progress, *[None] * (beam.width - len(beam.progress))]


def _write(picks: Picks, place: int, ends: Sequence[Continuation], living: Sequence[Continuation]) -> None:
    """One beam's choices into `picks`."""
    slots = picks.alive.shape[1]
    for candidates, chosen in ((picks.candidates, [*ends, *living]), (picks.chosen, list(living))):
        width = candidates.totals.shape[1]
        columns = (
            (candidates.totals, [-one.loss for one in chosen], NEVER),
            (candidates.log_probs, [one.log_prob for one in chosen], NEVER),
            (candidates.rows, [one.row for one in chosen], 0),
            (candidates.token_ids, [one.token_id for one in chosen], 0),
        )
        for column, values, empty in columns:
            padded = [*values, *[empty] * (width - len(values))]
            column[place] = torch.tensor(padded[:width], dtype=column.dtype)
    picks.ends[place] = torch.tensor([column < len(ends) for column in range(picks.ends.shape[1])])
    picks.alive[place] = torch.tensor([slot < len(living) for slot in range(slots)])
