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

import torch
from torch import Tensor

from model.decoding.constraints import Scores, TargetVocabulary
from model.decoding.filters import Filters, is_filtered
from model.decoding.options import DecodingOptions
from model.decoding.random_numbers import new_seed, uniform
from model.decoding.single_row import Choice, RuledRowStrategy


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
        drawn, whole = self._draws.draw(scores.counted, self._numbers())
        token_ids = drawn[:, None]
        columns = (token_ids, scores.own.gather(1, token_ids), scores.counted.gather(1, token_ids))
        lines = torch.cat([*(column.double() for column in columns), whole[:, None]], dim=1).tolist()
        return drawn, [_choice(*line) for line in lines]

    def _numbers(self) -> Tensor:
        """A number in [0, 1) for every row [R]."""
        steps = [len(segment.token_ids) for segment in self._segments.values()]
        numbers = [uniform(seed, step) for seed, step in zip(self._seeds.values(), steps, strict=True)]
        return torch.tensor(numbers, dtype=torch.float64, device=self._device)


def _seed(options: DecodingOptions) -> int:
    return new_seed() if options.seed is None else options.seed


def _choice(token_id: float, log_prob: float, counted: float, whole: float) -> Choice:
    return Choice(int(token_id), log_prob, counted if math.isfinite(whole) else math.nan)


class _Draws:
    """How each row draws: among all tokens, or among those that its filters keep."""

    def __init__(self, asked: Sequence[DecodingOptions], device: torch.device) -> None:
        temperatures = [options.temperature for options in asked]
        self._temperatures = torch.tensor(temperatures, dtype=torch.float64, device=device)[:, None]
        filtered = torch.tensor([is_filtered(options) for options in asked], device=device)
        self._filtered, self._free = filtered.nonzero()[:, 0], (~filtered).nonzero()[:, 0]
        self._filters = Filters([options for options in asked if is_filtered(options)], device)

    def draw(self, counted: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """The tokens [R] that the `numbers` [R] in [0, 1) fall on, and the whole mass [R] that they fell in.

        That mass is no number where some of `counted` [R, V] is none.
        """
        logits = counted / self._temperatures.to(counted.dtype)
        drawn, whole = torch.empty_like(numbers, dtype=torch.long), torch.empty_like(numbers)
        if len(self._free):
            mass = torch.softmax(logits[self._free], dim=1)
            drawn[self._free], whole[self._free] = first_above(mass, numbers[self._free])
        if len(self._filtered):
            results = self._draw_filtered(logits[self._filtered], numbers[self._filtered])
            drawn[self._filtered], whole[self._filtered] = results
        return drawn, whole

    def _draw_filtered(self, logits: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """The same for the rows that filter: among the likeliest tokens, further down only if it must be."""
        drawn, whole = torch.empty_like(numbers, dtype=torch.long), torch.empty_like(numbers)
        rows = torch.arange(len(numbers), device=numbers.device)
        for count in self._filters.looks(logits.shape[1]):
            token_ids, mass, is_all = self._filters.kept(logits[rows], rows, count)
            places, whole[rows] = first_above(mass, numbers[rows])
            drawn[rows] = token_ids.gather(1, places[:, None])[:, 0]
            rows = rows[~is_all]
            if not len(rows):
                break
        return drawn, whole


def first_above(mass: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """The first index of each row at which `mass` [R, N], added up, exceeds `numbers` [R] times its whole,
    and that whole. The index means nothing where the whole is no number."""
    growing = mass.cumsum(dim=1, dtype=torch.float64)
    whole = growing[:, -1]
    # Numbers are at most 1 - 2^-53, so in any rounding the product stays below the whole.
    found = torch.searchsorted(growing, (numbers * whole)[:, None], right=True)[:, 0]
    return found.clamp(max=mass.shape[1] - 1), whole
