"""Greedy search: the likeliest token at every step, one row per segment.

Knows: log-probabilities and what each segment has so far. Must not know: the network, caches, requests.
Of equally likely tokens the lowest id wins. Every chosen token is stable at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from model.decoding.constraints import TargetVocabulary
from model.decoding.options import DecodingOptions
from model.decoding.scoring import normalised_score
from model.decoding.strategy import FinishReason, Hypothesis, Selection, check_new


@dataclass(slots=True)
class _Segment:
    """One live segment: its row's tokens so far."""

    options: DecodingOptions
    max_length: int
    stream: bool
    token_ids: list[int] = field(default_factory=list)
    token_log_probs: list[float] = field(default_factory=list)

    def finish(self, end_log_prob: float, reason: FinishReason) -> tuple[Hypothesis, ...]:
        num_tokens = len(self.token_ids) + (reason == "stop")
        total = math.fsum((*self.token_log_probs, end_log_prob))
        score = normalised_score(total, num_tokens, self.options.length_penalty)
        return (Hypothesis(tuple(self.token_ids), tuple(self.token_log_probs), score, reason),)

    def extend(self, token_id: int, log_prob: float, eos_id: int) -> tuple[Hypothesis, ...] | None:
        """Take the chosen token; the answer when that ends the segment."""
        if token_id == eos_id:
            return self.finish(log_prob, "stop")
        self.token_ids.append(token_id)
        self.token_log_probs.append(log_prob)
        return self.finish(0.0, "length") if len(self.token_ids) == self.max_length else None


class GreedyStrategy:
    """All live greedy segments; see `Strategy`."""

    def __init__(self, vocabulary: TargetVocabulary) -> None:
        self._vocabulary = vocabulary
        self._segments: dict[int, _Segment] = {}

    @property
    def keys(self) -> Sequence[int]:
        return list(self._segments)

    def add(
        self,
        key: int,
        options: DecodingOptions,
        max_length: int,
        *,
        stream: bool = False,
        draft: bool = False,
    ) -> int:
        check_new(key, self._segments, max_length)
        self._segments[key] = _Segment(options, max_length, stream or draft)
        return 1

    def remove(self, keys: Sequence[int]) -> None:
        for key in keys:
            self._segments.pop(key, None)

    def select(self, log_probs: Tensor) -> Selection:
        short = [len(segment.token_ids) < segment.options.min_length for segment in self._segments.values()]
        self._vocabulary.forbid(log_probs, short)
        best = log_probs.max(dim=-1)  # of equals torch answers the first: the lowest token id
        return self._extend_all(best.indices, best.values.tolist())

    def _extend_all(self, token_ids: Tensor, log_probs: list[float]) -> Selection:
        """Per-segment bookkeeping, after the transfer of the choices to the host."""
        finished: dict[int, tuple[Hypothesis, ...]] = {}
        stable: dict[int, tuple[int, ...]] = {}
        failed: list[int] = []
        choices = zip(self._segments.items(), token_ids.tolist(), log_probs, strict=True)
        for (key, segment), token_id, log_prob in choices:
            if not math.isfinite(log_prob):
                failed.append(key)
                continue
            hypotheses = segment.extend(token_id, log_prob, self._vocabulary.eos_id)
            if hypotheses is not None:
                finished[key] = hypotheses
            if segment.stream and token_id != self._vocabulary.eos_id:
                stable[key] = (token_id,)
        self.remove([*finished, *failed])
        return Selection(None, token_ids, finished, stable, tuple(failed))
