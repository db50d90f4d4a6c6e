"""Plain greedy search (see plain.py): what greedy.py answers, without the log-probabilities of all tokens.

Knows: scores. Must not know: segments, the network, caches, requests.
"""

from __future__ import annotations

import torch

from model.decoding.constraints import TargetVocabulary
from model.decoding.plain import Bars
from model.decoding.single_row import Choice, SingleRowStrategy
from model.decoding.strategy import Selection
from model.step_scores import StepScores


class PlainGreedyStrategy(SingleRowStrategy):
    """All live plain greedy segments; see `Strategy`."""

    def __init__(self, vocabulary: TargetVocabulary, device: torch.device) -> None:
        super().__init__(vocabulary, device)
        self._bars: Bars | None = None

    def _rows_changed(self) -> None:
        self._bars = None

    def select(self, scores: StepScores) -> Selection:
        segments = self._segments.values()
        if self._bars is None:
            self._bars = Bars(self._vocabulary, [segment.options for segment in segments], self._device)
        barred = self._bars.pairs([len(segment.token_ids) for segment in segments])
        values, token_ids = scores.top(1, barred)
        log_probs, tokens = values[:, 0].tolist(), token_ids[:, 0]
        return self._extend_all(tokens, list(map(Choice, tokens.tolist(), log_probs, log_probs)))
