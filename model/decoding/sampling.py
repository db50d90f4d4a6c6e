"""Sampling: a token drawn at every step, one row per segment.

Knows: log-probabilities, seeds, which rows filter. Must not know: the network, caches, requests.

One step of a row: its log-probabilities, after the rules of constraints.py, are divided by `temperature`;
filters.py says which tokens are kept and how likely each is. One number u is drawn, from the segment's seed
and the step alone. The chosen token is the first, in the order of ids, at which the kept probabilities added
up exceed u times their whole. No other row has a part in it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from model.decoding.constraints import Scores, TargetVocabulary
from model.decoding.filters import Filters, is_filtered
from model.decoding.options import DecodingOptions
from model.decoding.random_numbers import new_seed, uniform
from model.decoding.single_row import Choice, RuledRowStrategy
from model.transfers import to_device, to_host


class SampleStrategy(RuledRowStrategy):
    """All live sampled segments; see `Strategy`. A segment without a seed is given a new one."""

    def __init__(self, vocabulary: TargetVocabulary, device: torch.device) -> None:
        super().__init__(vocabulary, device)
        self._seeds: dict[int, int] = {}
        self._draws: _Draws | None = None

    def _rows_changed(self) -> None:
        super()._rows_changed()
        self._draws = None

    def _derive_draws(self) -> _Draws:
        """How the rows that there are now draw; new ones get their seeds."""
        known, asked = self._seeds, {key: segment.options for key, segment in self._segments.items()}
        self._seeds = {key: known[key] if key in known else _seed(asked[key]) for key in asked}
        return _Draws(list(asked.values()), self._device)

    def _choose(self, scores: Scores) -> tuple[Tensor, list[Choice]]:
        if self._draws is None:
            self._draws = self._derive_draws()
        choices = self._draws.draw(scores, self._numbers())
        return torch.tensor([choice.token_id for choice in choices]), choices

    def _numbers(self) -> list[float]:
        """A number in [0, 1) for every row [R]."""
        steps = [len(segment.token_ids) for segment in self._segments.values()]
        return [uniform(seed, step) for seed, step in zip(self._seeds.values(), steps, strict=True)]


def _seed(options: DecodingOptions) -> int:
    return new_seed() if options.seed is None else options.seed


class _Drawn(NamedTuple):
    """What one row drew, as numbers of one type: so they come to the host together."""

    token_id: float
    log_prob: float
    counted: float
    whole: float  # the mass that was drawn in; no number where some log-probability is none
    is_all: float  # whether nothing that is kept was left out

    @property
    def choice(self) -> Choice:
        counted = self.counted if math.isfinite(self.whole) else math.nan
        return Choice(int(self.token_id), self.log_prob, counted)


class _Draws:
    """How each row draws: among all tokens, or among those that its filters keep."""

    def __init__(self, asked: Sequence[DecodingOptions], device: torch.device) -> None:
        temperatures = torch.tensor([options.temperature for options in asked], dtype=torch.float64)
        self._temperatures = to_device(temperatures[:, None], device)
        self._free = [row for row, options in enumerate(asked) if not is_filtered(options)]
        self._filtered = [row for row, options in enumerate(asked) if is_filtered(options)]
        self._filters = Filters([asked[row] for row in self._filtered], device)

    def draw(self, scores: Scores, numbers: Sequence[float]) -> list[Choice]:
        """What the `numbers` [R] in [0, 1) fall on.

        What filters keep is looked for among the likeliest tokens, and further down only where it must be:
        nearly always one look is enough, for all rows, and is waited for once.
        """
        step = _Step.of(scores, self._temperatures, numbers)
        drawn: dict[int, _Drawn] = {}
        free, places = self._free, list(range(len(self._filtered)))
        for count in self._filters.looks(step.logits.shape[1]):
            filtered = [self._filtered[place] for place in places]
            parts = [step.among_all(free)] if free else []
            parts += [step.among_kept(filtered, places, count, self._filters)] if filtered else []
            (lines,) = to_host(torch.cat(parts))
            drawn |= dict(zip([*free, *filtered], map(_Drawn._make, lines.tolist()), strict=True))
            free, places = [], [p for p in places if not drawn[self._filtered[p]].is_all]
            if not places:
                break
        return [drawn[row].choice for row in range(len(drawn))]


@dataclass(frozen=True, slots=True)
class _Step:
    """What all rows draw from at one step, on the device: `logits` [R, V] are what counts, divided by the
    temperatures."""

    scores: Scores
    logits: Tensor
    numbers: Tensor

    @classmethod
    def of(cls, scores: Scores, temperatures: Tensor, numbers: Sequence[float]) -> _Step:
        drawn = torch.tensor(numbers, dtype=torch.float64)
        logits = scores.counted / temperatures.to(scores.counted.dtype)
        return cls(scores, logits, to_device(drawn, logits.device))

    def among_all(self, rows: Sequence[int]) -> Tensor:
        """A `_Drawn` of each of these rows [N, 5]."""
        own = self._places(rows)
        token_ids, whole = first_above(torch.softmax(self.logits[own], dim=1), self.numbers[own])
        return self._told(own, token_ids, whole, torch.ones_like(whole))

    def among_kept(self, rows: Sequence[int], places: Sequence[int], count: int, filters: Filters) -> Tensor:
        """The same, among the `count` likeliest tokens; `places` are the rows' among those that filter."""
        own = self._places(rows)
        kept, mass, is_all = filters.kept(self.logits[own], self._places(places), count)
        nth, whole = first_above(mass, self.numbers[own])
        return self._told(own, kept.gather(1, nth[:, None])[:, 0], whole, is_all)

    def _places(self, numbers: Sequence[int]) -> Tensor:
        return to_device(torch.tensor(numbers), self.logits.device)

    def _told(self, rows: Tensor, token_ids: Tensor, whole: Tensor, is_all: Tensor) -> Tensor:
        own, counted = self.scores.own[rows, token_ids], self.scores.counted[rows, token_ids]
        return torch.stack([one.double() for one in (token_ids, own, counted, whole, is_all)], dim=1)


def first_above(mass: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """The first index of each row at which `mass` [R, N], added up, exceeds `numbers` [R] times its whole,
    and that whole. The index means nothing where the whole is no number."""
    growing = mass.cumsum(dim=1, dtype=torch.float64)
    whole = growing[:, -1]
    # Numbers are at most 1 - 2^-53, so in any rounding the product stays below the whole.
    found = torch.searchsorted(growing, (numbers * whole)[:, None], right=True)[:, 0]
    return found.clamp(max=mass.shape[1] - 1), whole
