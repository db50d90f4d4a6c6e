"""Sampling: a token drawn at every step, one row per segment.

Knows: log-probabilities, filters, seeds. Must not know: the network, caches, requests.

One step of a row, with p the softmax of its log-probabilities divided by `temperature`, after the rules of
constraints.py. Every filter looks at this same p, and a token is kept if all of them keep it:
- `top_k`: it is among the k likeliest;
- `top_p`: the tokens likelier than it hold less than this mass together;
- `min_p`: p is at least `min_p` times the likeliest token's;
- `epsilon`: p is at least `epsilon`.
The likeliest token is always kept. Of equally likely ones the lower id counts as the likelier.

Then one number u is drawn, from the segment's seed and the step alone. The chosen token is the first, in the
order of ids, at which the kept mass added up exceeds u times the whole kept mass. All in float64.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from model.decoding.candidates import top_tokens
from model.decoding.constraints import Scores, TargetVocabulary
from model.decoding.options import DecodingOptions
from model.decoding.random_numbers import new_seed, uniform
from model.decoding.single_row import Choice, SingleRowStrategy

FIRST_LOOK = 64  # likeliest tokens among which the mass of `top_p` is sought first


class Filters:
    """What the rows [R] ask of each filter, derived anew when rows come or go."""

    def __init__(self, asked: Sequence[DecodingOptions], device: torch.device) -> None:
        def column(values: Iterable[float]) -> Tensor:
            return torch.tensor(list(values), dtype=torch.float64, device=device)[:, None]

        self._min_p = column(options.min_p for options in asked)
        self._epsilon = column(options.epsilon for options in asked)
        self._looks_at_size = any(options.min_p or options.epsilon for options in asked)
        ranked = [row for row, options in enumerate(asked) if options.top_k or options.top_p < 1.0]
        self._ranked = torch.tensor(ranked, dtype=torch.long, device=device)
        self._top_k = column(asked[row].top_k or math.inf for row in ranked)
        self._top_p = column(asked[row].top_p if asked[row].top_p < 1.0 else math.inf for row in ranked)
        has_top_p = any(asked[row].top_p < 1.0 for row in ranked)
        self._look = max([FIRST_LOOK * has_top_p, *(asked[row].top_k + 1 for row in ranked)])

    def kept(self, counted: Tensor, probabilities: Tensor) -> Tensor:
        """`probabilities` [R, V] with zeros in place of what some filter drops."""
        kept = probabilities
        if self._looks_at_size:
            likeliest = probabilities.max(dim=1, keepdim=True).values
            least = torch.maximum(self._min_p * likeliest, self._epsilon).minimum(likeliest)
            kept = kept.masked_fill(probabilities < least, 0.0)
        if len(self._ranked):
            rows = self._ranked
            by_rank = self._kept_by_rank(counted[rows], probabilities[rows])
            kept = kept.index_copy(0, rows, kept[rows] * by_rank)
        return kept

    def _kept_by_rank(self, counted: Tensor, probabilities: Tensor) -> Tensor:
        """[N, V]: 1 for what `top_k` and `top_p` keep, else 0. Looks no further down than it must."""
        count, num_tokens = self._look, counted.shape[1]
        while True:
            token_ids = top_tokens(counted, count)[1]
            before = pad(probabilities.gather(1, token_ids).cumsum(dim=1), (1, -1))
            ranks = torch.arange(token_ids.shape[1], device=counted.device)
            keeps = (before < self._top_p) & (ranks < self._top_k)
            if count >= num_tokens or not keeps[:, -1].any():
                return torch.zeros_like(probabilities).scatter(1, token_ids, keeps.double())
            count *= 16


class SampleStrategy(SingleRowStrategy):
    """All live sampled segments; see `Strategy`. A segment without a seed is given a new one."""

    def __init__(self, vocabulary: TargetVocabulary, device: torch.device) -> None:
        super().__init__(vocabulary, device)
        self._seeds: dict[int, int] = {}
        self._derive()

    def _derive(self) -> None:
        asked = [segment.options for segment in self._segments.values()]
        self._filters = Filters(asked, self._device)
        temperatures = [options.temperature for options in asked]
        self._temperatures = torch.tensor(temperatures, dtype=torch.float64, device=self._device)[:, None]
        known = self._seeds
        self._seeds = {key: known.get(key, self._new_seed(key)) for key in self._segments}

    def _new_seed(self, key: int) -> int:
        seed = self._segments[key].options.seed
        return new_seed() if seed is None else seed

    def _rows_changed(self) -> None:
        super()._rows_changed()
        self._derive()

    def _choose(self, scores: Scores) -> tuple[Tensor, list[Choice]]:
        probabilities = torch.softmax(scores.counted.double() / self._temperatures, dim=1)
        mass = self._filters.kept(scores.counted, probabilities).cumsum(dim=1)
        token_ids = first_above(mass, self._draw())[:, None]
        columns = [token_ids.double(), scores.own.gather(1, token_ids), scores.counted.gather(1, token_ids)]
        lines = torch.cat([*columns, mass[:, -1:]], dim=1).tolist()  # the one transfer of the step
        return token_ids[:, 0], [_choice(*line) for line in lines]

    def _draw(self) -> Tensor:
        """A number in [0, 1) for every row [R]."""
        steps = [len(segment.token_ids) for segment in self._segments.values()]
        numbers = [uniform(seed, step) for seed, step in zip(self._seeds.values(), steps, strict=True)]
        return torch.tensor(numbers, dtype=torch.float64, device=self._device)


def first_above(mass: Tensor, numbers: Tensor) -> Tensor:
    """The first index of each row at which `mass` [R, V], growing, exceeds `numbers` [R] times its whole."""
    whole = mass[:, -1]
    below_whole = torch.nextafter(
        whole, torch.zeros_like(whole)
    )  # the product may be rounded up to the whole
    sought = torch.minimum(numbers * whole, below_whole)[:, None]
    found = torch.searchsorted(mass, sought, right=True)[:, 0]
    return found.clamp(max=mass.shape[1] - 1)  # only where the mass is no number


def _choice(token_id: float, own: float, counted: float, whole: float) -> Choice:
    return Choice(int(token_id), own, counted if math.isfinite(whole) else math.nan)
