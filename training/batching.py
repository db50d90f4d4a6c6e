"""Encoded pairs to the tensors of a training step.

Knows: ids of both sides, padding, the start token. Must not know: text, weights, which pairs make up a batch
(epoch_plan.py).
Shapes: B pairs, S source, T target.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.mixing import Mixture
from training.ragged import Ragged


@dataclass(frozen=True)
class EncodedCorpus:
    """Pairs as ids, each side ending with `</s>`; `mixture` when corpora are not seen by their size."""

    source: Ragged
    target: Ragged
    mixture: Mixture | None = None

    def __len__(self) -> int:
        return len(self.source)


@dataclass(frozen=True)
class Batch:
    """What one step learns from: `target_input` is `target_output` behind the start token, less its end."""

    source_ids: Tensor  # [B, S]
    source_mask: Tensor  # [B, S], True: a real token
    target_input: Tensor  # [B, T]
    target_output: Tensor  # [B, T], padding where there is nothing to learn
    num_target_tokens: int

    def to(self, device: torch.device) -> Batch:
        return Batch(
            source_ids=self.source_ids.to(device),
            source_mask=self.source_mask.to(device),
            target_input=self.target_input.to(device),
            target_output=self.target_output.to(device),
            num_target_tokens=self.num_target_tokens,
        )


def make_batch(
    corpus: EncodedCorpus, indices: NDArray[np.integer[Any]], pad_id: int, decoder_start_id: int
) -> Batch:
    """Padded tensors of the chosen pairs; the input is the output shifted right behind the start token."""
    source, source_lengths = corpus.source.padded(indices, pad_id)
    target, target_lengths = corpus.target.padded(indices, pad_id)
    target_output = torch.from_numpy(target)
    start = torch.full((len(indices), 1), decoder_start_id)
    mask = torch.from_numpy(np.arange(source.shape[1]) < source_lengths[:, None])
    shifted = torch.cat((start, target_output[:, :-1]), 1)
    return Batch(torch.from_numpy(source), mask, shifted, target_output, int(target_lengths.sum()))
