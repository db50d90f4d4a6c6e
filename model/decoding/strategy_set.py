"""Segments of every kind of strategy in one batch: one call per kind and step.

Knows: which rows of the shared batch belong to which kind. Must not know: how a kind selects, the network.
Plain searches are kinds of their own, so that nobody pays for what only others ask for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

import torch
from torch import Tensor

from model.decoding.beam import BeamStrategy
from model.decoding.constraints import TargetVocabulary
from model.decoding.greedy import GreedyStrategy
from model.decoding.options import DecodingOptions, StrategyKind
from model.decoding.plain import is_plain
from model.decoding.plain_beam import PlainBeamStrategy
from model.decoding.plain_greedy import PlainGreedyStrategy
from model.decoding.prefix import PrefixStrategy
from model.decoding.sampling import SampleStrategy
from model.decoding.strategy import Hypothesis, Selection, Strategy, Task, check_new
from model.step_scores import StepScores
from model.transfers import HOST

Kind = Literal["beam", "greedy", "sample", "plain beam", "plain greedy", "prefix"]

RULED: dict[Kind, Callable[[TargetVocabulary, torch.device], Strategy]] = {
    "beam": BeamStrategy,
    "greedy": GreedyStrategy,
    "sample": SampleStrategy,
}
PLAIN: dict[StrategyKind, Kind] = {"beam": "plain beam", "greedy": "plain greedy"}


def kind_of(options: DecodingOptions, max_length: int) -> Kind:
    """Where a segment begins; one of kind "prefix" goes on as a plain one."""
    if not is_plain(options) or len(options.prefix_ids) >= max_length:
        return options.strategy
    return "prefix" if options.prefix_ids else PLAIN[options.strategy]


@dataclass(frozen=True, slots=True)
class _Member:
    kind: Kind
    rows: int


class StrategySet:
    """A `Strategy` over mixed kinds. Rows of the batch stand in the order in which segments were added."""

    def __init__(self, vocabulary: TargetVocabulary, device: torch.device) -> None:
        self._vocabulary, self._device = vocabulary, device
        self._prefixes = PrefixStrategy(vocabulary)
        # What is plain needs no tensors of all tokens, and so nothing on the device.
        self._plain: dict[Kind, PlainBeamStrategy | PlainGreedyStrategy] = {
            "plain beam": PlainBeamStrategy(vocabulary, HOST),
            "plain greedy": PlainGreedyStrategy(vocabulary, HOST),
        }
        # Those with rules are made when somebody asks for one: their tensors would cost each search.
        self._strategies: dict[Kind, Strategy] = {**self._plain, "prefix": self._prefixes}
        self._members: dict[int, _Member] = {}
        self._rows_of_kind: dict[Kind, Tensor] = {}

    @property
    def keys(self) -> Sequence[int]:
        return list(self._members)

    def add(self, task: Task) -> int:
        check_new(task, self._members)
        kind = kind_of(task.options, task.max_length)
        if kind not in self._strategies:
            self._strategies[kind] = RULED[kind](self._vocabulary, self._device)
        rows = self._strategies[kind].add(task)
        self._members[task.key] = _Member(kind, rows)
        self._rows_of_kind = {}
        return rows

    @property
    def wants_attention(self) -> bool:
        return any(strategy.wants_attention for strategy in self._strategies.values())

    def remove(self, keys: Sequence[int]) -> None:
        for strategy in self._strategies.values():
            strategy.remove(keys)
        self._forget(keys)

    def _forget(self, keys: Sequence[int]) -> None:
        for key in keys:
            self._members.pop(key, None)
        self._rows_of_kind = {}

    def select(self, scores: StepScores) -> Selection:
        live = [strategy for strategy in self._strategies.values() if strategy.keys]
        # Nearly always there is one kind, with the rows in the batch's order.
        is_one = len(live) == 1 and list(live[0].keys) == list(self._members)
        selection = live[0].select(scores) if is_one else self._select_by_kind(scores)
        if selection.finished or selection.failed:
            self._forget([*selection.finished, *selection.failed])
        if self._prefixes.keys:
            self._hand_over()
        return selection

    def _select_by_kind(self, scores: StepScores) -> Selection:
        rows_of_kind = self._rows_of_kind or self._index_rows()
        parts = [
            (rows, self._strategies[kind].select(scores.of_rows(rows))) for kind, rows in rows_of_kind.items()
        ]
        return _merged(sum(len(rows) for rows, _ in parts), parts)

    def _hand_over(self) -> None:
        """What is through its prefix is a plain search from now on, on the same rows."""
        for key, begun in self._prefixes.take_begun().items():
            kind = PLAIN[begun.task.options.strategy]
            self._plain[kind].resume(begun)
            self._members[key] = _Member(kind, begun.task.options.rows)
            self._rows_of_kind = {}

    def _index_rows(self) -> dict[Kind, Tensor]:
        """The rows of each kind that has any, in the order that its own strategy has them: not always that of
        the batch, since a segment may come to its strategy later than others."""
        lasts = accumulate(member.rows for member in self._members.values())
        places = {
            key: range(last - member.rows, last)
            for (key, member), last in zip(self._members.items(), lasts, strict=True)
        }
        rows = {
            kind: [row for key in strategy.keys for row in places[key]]
            for kind, strategy in self._strategies.items()
        }
        self._rows_of_kind = {k: torch.tensor(r) for k, r in rows.items() if r}
        return self._rows_of_kind


def _merged(num_rows: int, parts: Sequence[tuple[Tensor, Selection]]) -> Selection:
    """Selections over some rows each, as one selection over all."""
    parents = torch.arange(num_rows)
    token_ids = torch.empty(num_rows, dtype=torch.long)
    finished: dict[int, tuple[Hypothesis, ...]] = {}
    stable: dict[int, tuple[int, ...]] = {}
    drafts: dict[int, tuple[int, ...]] = {}
    for rows, part in parts:
        token_ids[rows] = part.token_ids
        if part.parents is not None:
            parents[rows] = rows[part.parents]
        finished |= part.finished
        stable |= part.stable
        drafts |= part.drafts
    failed = tuple(key for _, part in parts for key in part.failed)
    return Selection(parents, token_ids, finished, stable, failed, drafts)
