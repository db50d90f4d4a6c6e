"""Searches inside their prefix that are plain behind it (see plain.py): each row has one choice.

Knows: scores, forced tokens. Must not know: the network, caches, requests, how a search goes on.

    prefix [de] tokens    forced here, one a step        then handed over to a plain search
    step   1              [de]: one number of [R, V]     2, 3, ...: a few numbers of each row

A model of many languages begins every target with a forced token: its searches must not be slow for that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import torch
from torch import Tensor

from model.decoding.constraints import TargetVocabulary
from model.decoding.strategy import Selection, Task, check_new
from model.step_scores import StepScores
from model.transfers import to_device


@dataclass(slots=True)
class Begun:
    """A segment that has written `log_probs` many tokens of its prefix."""

    task: Task
    log_probs: list[float] = field(default_factory=list)

    @property
    def token_ids(self) -> tuple[int, ...]:
        return self.task.options.prefix_ids[: len(self.log_probs)]

    @property
    def shows_drafts(self) -> bool:
        """Where every token is certain when it is chosen there are none."""
        return self.task.draft and self.task.options.strategy == "beam"

    @property
    def num_sent(self) -> int:
        """Tokens that have been told to be stable."""
        is_told = self.task.stream or (self.task.draft and not self.shows_drafts)
        return len(self.log_probs) if is_told and not self.shows_drafts else 0


class PrefixStrategy:
    """All live segments inside their prefix; see `Strategy`. Who is through is given away."""

    wants_attention = False

    def __init__(self, vocabulary: TargetVocabulary) -> None:
        self._eos_id = vocabulary.eos_id
        self._segments: dict[int, Begun] = {}

    @property
    def keys(self) -> Sequence[int]:
        return list(self._segments)

    def add(self, task: Task) -> int:
        check_new(task, self._segments)
        self._segments[task.key] = Begun(task)
        return task.options.rows

    def remove(self, keys: Sequence[int]) -> None:
        for key in keys:
            self._segments.pop(key, None)

    def take_begun(self) -> dict[int, Begun]:
        """Segments whose prefix is written; they are not here any more."""
        through = {
            key: segment
            for key, segment in self._segments.items()
            if len(segment.log_probs) == len(segment.task.options.prefix_ids)
        }
        self.remove(list(through))
        return through

    def select(self, scores: StepScores) -> Selection:
        segments = list(self._segments.values())
        widths = [segment.task.options.rows for segment in segments]
        forced = [segment.task.options.prefix_ids[len(segment.log_probs)] for segment in segments]
        tokens = torch.tensor(forced)
        # The rows of a beam are equal as long as all are forced: the first speaks for them.
        first_rows = torch.tensor([0, *accumulate(widths[:-1])])
        log_probs = scores.of_rows(first_rows).log_probs()
        values = log_probs.gather(1, to_device(tokens[:, None], log_probs.device))[:, 0]
        failed = self._record(values)
        self.remove(failed)
        stable = {key: (one.token_ids[-1],) for key, one in self._segments.items() if one.num_sent}
        drafts = {key: one.token_ids for key, one in self._segments.items() if one.shows_drafts}
        # Only the first row of a beam is on it; the others repeat themselves with `</s>`, as anywhere.
        chosen = torch.full((sum(widths),), self._eos_id)
        chosen[first_rows] = tokens
        return Selection(None, chosen, {}, stable, tuple(failed), drafts)

    def _record(self, values: Tensor) -> list[int]:
        """The segments whose log-probability is no number."""
        failed: list[int] = []
        for (key, segment), value in zip(self._segments.items(), values.tolist(), strict=True):
            segment.log_probs.append(value)
            if not math.isfinite(value):
                failed.append(key)
        return failed
