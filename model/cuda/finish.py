"""The end of a step: from logits to each row's next token, and the state goes on by a position.

Knows: the state, its record, which tokens are barred. Must not know: the network, the host's bookkeeping.
This is the plain way: what the faster one (see finish_kernels.py) is held against.
Shapes: R rows, V vocabulary, W rows of the widest segment.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from model.config import ModelConfig
from model.cuda.select import TOLD, select, top_of
from model.cuda.state import StateView
from model.decoding.constraints import TargetVocabulary


class Finish(Protocol):
    """One way of doing so."""

    def __call__(self, logits: Tensor, state: StateView, width: int) -> None:
        """`logits` [R, V]; `width` is W. The state goes on by a step, its record by a line."""


class PlainFinish:
    """See `Finish`."""

    def __init__(self, config: ModelConfig, device: torch.device) -> None:
        vocabulary = TargetVocabulary.of(config)
        self._eos_id, self._last = vocabulary.eos_id, config.max_target_length - 1
        self._never_ids = torch.tensor(vocabulary.never_ids, dtype=torch.long, device=device)

    def __call__(self, logits: Tensor, state: StateView, width: int) -> None:
        values, token_ids = top_of(log_probs_of(logits), state, width, self._never_ids, self._eos_id)
        told = select(state, values, token_ids, self._eos_id)
        state.record.index_copy_(0, state.counter, told[None])
        state.counter.add_(1)
        state.token.copy_(told[TOLD.token])
        state.total.copy_(told[TOLD.total])
        state.ancestors.copy_(state.ancestors.index_select(0, told[TOLD.parent].long()))
        # Behind its last position a row can only be one that has ended, and that the host has not told yet.
        state.length.add_(1).clamp_(max=self._last)


def log_probs_of(logits: Tensor) -> Tensor:
    """[R, V], in float32 (float64 where the logits are)."""
    return F.log_softmax(logits, dim=-1, dtype=torch.promote_types(logits.dtype, torch.float32))
