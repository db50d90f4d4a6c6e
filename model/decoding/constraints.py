"""What no hypothesis may contain: tokens that are never text, and an end that comes too soon.

Knows: token ids and log-probabilities [R, V]. Must not know: searches, segments.
A forbidden token gets log-probability -inf; the others keep theirs, so scores stay the model's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.config import ModelConfig

NEVER = float("-inf")


@dataclass(frozen=True, slots=True)
class TargetVocabulary:
    """The token ids with a meaning: `eos_id` ends a hypothesis, `never_ids` are not generated at all."""

    eos_id: int
    never_ids: tuple[int, ...]

    @classmethod
    def of(cls, config: ModelConfig) -> TargetVocabulary:
        """Padding and start token are never text; where a model starts with `</s>`, that stays allowed."""
        never = {config.pad_id, config.decoder_start_id} - {config.eos_id}
        return cls(config.eos_id, tuple(sorted(never)))

    def forbid(self, log_probs: Tensor, too_short: Sequence[bool]) -> None:
        """Bar, in place, the tokens that are never text, and `</s>` on the rows that are `too_short` [R]."""
        for token_id in self.never_ids:
            log_probs[:, token_id] = NEVER
        if any(too_short):
            rows = torch.tensor(too_short, device=log_probs.device)
            log_probs[:, self.eos_id].masked_fill_(rows, NEVER)
