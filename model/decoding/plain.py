"""Plain searches: those that no rule watches but the shortest length, so that a step needs no [R, V].

Knows: options, which tokens are barred on which row. Must not know: searches, scores, the network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from model.decoding.constraints import TargetVocabulary
from model.decoding.options import DecodingOptions


def is_plain(options: DecodingOptions) -> bool:
    """Greedy or beam search whose choice, behind its prefix, looks at nothing but sums of log-probabilities
    and the length."""
    looks_back = options.repetition_penalty != 1.0 or options.no_repeat_ngram_size or options.banned_ids
    steers = options.required_ids or options.coverage_penalty
    is_search = options.strategy in ("greedy", "beam")
    return is_search and not looks_back and not steers and options.diversity_groups == 1


class Bars:
    """What the rows of some plain segments may not take: tokens that are never text, `</s>` too soon.

    Derived anew when segments come or go.
    """

    def __init__(
        self, vocabulary: TargetVocabulary, asked: Sequence[DecodingOptions], device: torch.device
    ) -> None:
        self._vocabulary, self._asked, self._device = vocabulary, asked, device
        self._has_least = any(options.min_length for options in asked)
        self._too_short: list[bool] = [False] * len(asked)
        self._pairs = self._derive()

    def pairs(self, num_held: Callable[[], Sequence[int]]) -> Tensor | None:
        """Barred pairs [2, N] of row and token, if any.

        `num_held` answers how many tokens each segment's rows hold, and is called where that matters.
        """
        if self._has_least:
            too_short = [
                held < options.min_length for options, held in zip(self._asked, num_held(), strict=True)
            ]
            if too_short != self._too_short:
                self._too_short = too_short
                self._pairs = self._derive()
        return self._pairs

    def _derive(self) -> Tensor | None:
        never, eos_id = self._vocabulary.never_ids, self._vocabulary.eos_id
        pairs: list[tuple[int, int]] = []
        row = 0
        for options, is_short in zip(self._asked, self._too_short, strict=True):
            tokens = (*never, eos_id) if is_short else never
            for _ in range(options.rows):
                pairs += [(row, token_id) for token_id in tokens]
                row += 1
        return torch.tensor(pairs, device=self._device).T.contiguous() if pairs else None
