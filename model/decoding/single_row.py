"""Segments of one row each: what greedy search and sampling share.

Knows: what each segment has so far, when it ends. Must not know: how a token is chosen, the network.
Every chosen token is stable at once.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from model.decoding.constraints import Constraints, Scores, TargetVocabulary
from model.decoding.history import History
from model.decoding.options import DecodingOptions
from model.decoding.scoring import normalised_score
from model.decoding.strategy import FinishReason, Hypothesis, Selection, Task, check_new
from model.step_scores import StepScores


class Choice(NamedTuple):
    """One row's next token: its log-probability as the model has it, and as the rules count it."""

    token_id: int
    log_prob: float
    counted: float


@dataclass(slots=True)
class SingleRow:
    """One live segment: its row's tokens so far."""

    options: DecodingOptions
    max_length: int
    stream: bool
    token_ids: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    counted: list[float] = field(default_factory=list)

    def extend(self, choice: Choice, eos_id: int) -> tuple[Hypothesis, ...] | None:
        """Take the chosen token; the answer when that ends the segment."""
        self.counted.append(choice.counted)
        if choice.token_id == eos_id:
            return self._finish("stop")
        self.token_ids.append(choice.token_id)
        self.log_probs.append(choice.log_prob)
        return self._finish("length") if len(self.token_ids) == self.max_length else None

    def _finish(self, reason: FinishReason) -> tuple[Hypothesis, ...]:
        total = math.fsum(self.counted)
        score = normalised_score(total, len(self.counted), self.options.length_penalty)
        return (Hypothesis(tuple(self.token_ids), tuple(self.log_probs), score, reason),)


class SingleRowStrategy:
    """All live segments of one kind that has one row for each; see `Strategy`."""

    wants_attention = False

    def __init__(self, vocabulary: TargetVocabulary, device: torch.device) -> None:
        self._vocabulary, self._device = vocabulary, device
        self._segments: dict[int, SingleRow] = {}

    @property
    def keys(self) -> Sequence[int]:
        return list(self._segments)

    def add(self, task: Task) -> int:
        check_new(task, self._segments)
        self._segments[task.key] = SingleRow(task.options, task.max_length, task.stream or task.draft)
        self._rows_changed()
        return 1

    def remove(self, keys: Sequence[int]) -> None:
        gone = [key for key in keys if self._segments.pop(key, None)]
        if gone:
            self._rows_changed()

    @abstractmethod
    def _rows_changed(self) -> None:
        """What is derived from the rows' options is derived anew when next asked."""

    @abstractmethod
    def select(self, scores: StepScores) -> Selection:
        """See `Strategy.select`."""

    def _extend_all(self, token_ids: Tensor, choices: Sequence[Choice]) -> Selection:
        """Per-segment bookkeeping, after the transfer of the choices to the host."""
        finished: dict[int, tuple[Hypothesis, ...]] = {}
        stable: dict[int, tuple[int, ...]] = {}
        failed: list[int] = []
        for (key, segment), choice in zip(self._segments.items(), choices, strict=True):
            if not math.isfinite(choice.counted):
                failed.append(key)
                continue
            hypotheses = segment.extend(choice, self._vocabulary.eos_id)
            if hypotheses is not None:
                finished[key] = hypotheses
            if segment.stream and choice.token_id != self._vocabulary.eos_id:
                stable[key] = (choice.token_id,)
        self.remove([*finished, *failed])
        return Selection(None, token_ids, finished, stable, tuple(failed))


class RuledRowStrategy(SingleRowStrategy):
    """Segments of one row each under any rules, and so by the log-probabilities of all tokens."""

    def __init__(self, vocabulary: TargetVocabulary, device: torch.device) -> None:
        super().__init__(vocabulary, device)
        self._constraints: Constraints | None = None

    def _rows_changed(self) -> None:
        self._constraints = None

    def select(self, scores: StepScores) -> Selection:
        segments = list(self._segments.values())
        if self._constraints is None:
            asked = [segment.options for segment in segments]
            self._constraints = Constraints(self._vocabulary, asked)
        rows = [segment.token_ids for segment in segments]
        held = [len(row) for row in rows]
        ruled = self._constraints.apply(scores.log_probs(), held, lambda: History.of(rows))
        token_ids, choices = self._choose(ruled)
        return self._extend_all(token_ids, choices)

    @abstractmethod
    def _choose(self, scores: Scores) -> tuple[Tensor, list[Choice]]:
        """The next token of every row, as a tensor of the host [R] and with what is to be known of it."""
