"""Plain searches: those that no rule watches but the shortest length, so that a step needs no [R, V].

Knows: options, which tokens are barred on which row. Must not know: searches, scores, the network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

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
        widths = [options.rows for options in self._asked]
        never = _on_all_rows(self._vocabulary.never_ids, sum(widths), self._device)
        if not any(self._too_short):
            return never
        short = [
            too_short for too_short, width in zip(self._too_short, widths, strict=True) for _ in range(width)
        ]
        rows = torch.tensor(short, device=self._device).nonzero()[:, 0]
        ends = torch.stack((rows, torch.full_like(rows, self._vocabulary.eos_id)))
        return ends if never is None else torch.cat((never, ends), dim=1)


# As rows come and go, which is nearly always, batches of the same sizes come again and again.
@lru_cache(maxsize=256)
def _on_all_rows(token_ids: tuple[int, ...], num_rows: int, device: torch.device) -> Tensor | None:
    """Pairs of each row with each token; also for who comes later and is not in inference mode."""
    if not num_rows or not token_ids:
        return None
    with torch.inference_mode(False):
        rows = torch.arange(num_rows).repeat_interleave(len(token_ids))
        return torch.stack((rows, torch.tensor(token_ids).repeat(num_rows))).to(device)
