"""Plain greedy search (see plain.py): what greedy.py answers, at a cost that is small beside a network's.

Knows: scores, segments, trails. Must not know: the network, caches, requests.
A step in which nothing ends looks at no segment by itself: all rows grow by one link, and that is it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from model.decoding.constraints import TargetVocabulary
from model.decoding.options import DecodingOptions
from model.decoding.plain import Bars
from model.decoding.prefix import Begun
from model.decoding.scoring import normalised_score
from model.decoding.strategy import FinishReason, Hypothesis, Selection, Task, check_new
from model.decoding.trails import Trail, trail_of, written
from model.step_scores import StepScores
from model.transfers import to_host


@dataclass(frozen=True, slots=True)
class _Asked:
    """One live segment. `begins` counts the strategy's steps before its first, `ends` those with its last."""

    options: DecodingOptions
    stream: bool
    begins: int
    ends: int


class PlainGreedyStrategy:
    """All live plain greedy segments; see `Strategy`."""

    wants_attention = False

    def __init__(self, vocabulary: TargetVocabulary, device: torch.device) -> None:
        self._vocabulary, self._device = vocabulary, device
        self._num_steps = 0
        self._segments: dict[int, _Asked] = {}
        self._trails: list[Trail | None] = []  # by row, which is by segment
        self._rows_changed()

    @property
    def keys(self) -> Sequence[int]:
        return list(self._segments)

    def add(self, task: Task) -> int:
        check_new(task, self._segments)
        self._begin(task, self._num_steps, None)
        return 1

    def resume(self, begun: Begun) -> None:
        """Go on behind a prefix, which the segment's row has written."""
        trail = trail_of(begun.token_ids, begun.log_probs)
        self._begin(begun.task, self._num_steps - len(begun.log_probs), trail)

    def _begin(self, task: Task, begins: int, trail: Trail | None) -> None:
        stream = task.stream or task.draft
        self._segments[task.key] = _Asked(task.options, stream, begins, begins + task.max_length)
        self._trails.append(trail)
        self._rows_changed()

    def remove(self, keys: Sequence[int]) -> None:
        gone = set(keys) & self._segments.keys()
        if gone:
            lines = zip(self._segments, self._trails, strict=True)
            self._trails = [trail for key, trail in lines if key not in gone]
            self._segments = {key: one for key, one in self._segments.items() if key not in gone}
            self._rows_changed()

    def _rows_changed(self) -> None:
        self._bars: Bars | None = None  # derived anew when next asked
        self._first_limit = min((one.ends for one in self._segments.values()), default=0)
        lines = enumerate(self._segments.items())
        self._streams = [(row, key) for row, (key, one) in lines if one.stream]

    def select(self, scores: StepScores) -> Selection:
        if self._bars is None:
            asked = [one.options for one in self._segments.values()]
            self._bars = Bars(self._vocabulary, asked, self._device)
        values, token_ids = to_host(*scores.top(1, self._bars.pairs(self._num_held)))
        log_probs, tokens = values.view(-1).tolist(), token_ids.view(-1)
        chosen = tokens.tolist()
        self._trails = list(zip(self._trails, chosen, log_probs, strict=True))
        self._num_steps += 1
        eos_id = self._vocabulary.eos_id
        failed: tuple[int, ...] = ()
        stable = {key: (chosen[row],) for row, key in self._streams if chosen[row] != eos_id}
        finished: dict[int, tuple[Hypothesis, ...]] = {}
        if eos_id in chosen or self._num_steps >= self._first_limit or not math.isfinite(sum(log_probs)):
            failed = self._failed(log_probs)
            finished = self._finished(failed)
            stable = {key: new for key, new in stable.items() if key not in failed}
            self.remove([*finished, *failed])
        return Selection(None, tokens, finished, stable, failed)

    def _num_held(self) -> list[int]:
        return [self._num_steps - one.begins for one in self._segments.values()]

    def _failed(self, log_probs: Sequence[float]) -> tuple[int, ...]:
        lines = zip(self._segments, log_probs, strict=True)
        return tuple(key for key, log_prob in lines if not math.isfinite(log_prob))

    def _finished(self, failed: Sequence[int]) -> dict[int, tuple[Hypothesis, ...]]:
        finished: dict[int, tuple[Hypothesis, ...]] = {}
        for (key, one), trail in zip(self._segments.items(), self._trails, strict=True):
            assert trail is not None  # a token was chosen just now
            if key in failed:
                continue
            if trail[1] == self._vocabulary.eos_id:
                finished[key] = (_hypothesis(one.options, trail, "stop"),)
            elif self._num_steps >= one.ends:
                finished[key] = (_hypothesis(one.options, trail, "length"),)
        return finished


def _hypothesis(options: DecodingOptions, trail: Trail, reason: FinishReason) -> Hypothesis:
    token_ids, log_probs = written(trail)
    score = normalised_score(math.fsum(log_probs), len(log_probs), options.length_penalty)
    num_told = len(token_ids) - (reason == "stop")  # `</s>` counts, and is not told
    return Hypothesis(tuple(token_ids[:num_told]), tuple(log_probs[:num_told]), score, reason)
