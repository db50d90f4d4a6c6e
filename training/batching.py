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

from model.transfers import to_device
from training.mixing import Mixture
from training.ragged import Ragged
from training.subword_sampling import Side, SubwordSampler


@dataclass(frozen=True)
class EncodedCorpus:
    """Pairs as ids, each side ending with `</s>`; `mixture` when corpora are not seen by their size,
    `sampler` when texts are split into pieces anew each time."""

    source: Ragged
    target: Ragged
    mixture: Mixture | None = None
    sampler: SubwordSampler | None = None

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
        """On a GPU nobody waits for it to get there."""
        return Batch(
            source_ids=to_device(self.source_ids, device),
            source_mask=to_device(self.source_mask, device),
            target_input=to_device(self.target_input, device),
            target_output=to_device(self.target_output, device),
            num_target_tokens=self.num_target_tokens,
        )


def make_batch(
    corpus: EncodedCorpus,
    indices: NDArray[np.integer[Any]],
    pad_id: int,
    decoder_start_id: int,
    *,
    epoch: int = 0,
    number: int = 0,
) -> Batch:
    """Padded tensors of the chosen pairs; the input is the output shifted right behind the start token.

    `epoch`, and the batch's `number` in it, decide into which pieces a text is split, where that is done anew
    each time.
    """
    source, source_lengths = _padded(corpus, "source", indices, pad_id, epoch, number)
    target, target_lengths = _padded(corpus, "target", indices, pad_id, epoch, number)
    target_output = torch.from_numpy(target)
    start = torch.full((len(indices), 1), decoder_start_id)
    mask = torch.from_numpy(np.arange(source.shape[1]) < source_lengths[:, None])
    shifted = torch.cat((start, target_output[:, :-1]), 1)
    return Batch(torch.from_numpy(source), mask, shifted, target_output, int(target_lengths.sum()))


def _padded(
    corpus: EncodedCorpus,
    side: Side,
    indices: NDArray[np.integer[Any]],
    pad_id: int,
    epoch: int,
    number: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows [B, longest] and their lengths [B]."""
    stored = corpus.source if side == "source" else corpus.target
    if corpus.sampler is None or not corpus.sampler.draws(side):
        return stored.padded(indices, pad_id)
    # Only a mixture repeats pairs; without one the splits stay those of runs that have begun.
    drawn = corpus.sampler.draw(side, stored, indices, epoch, None if corpus.mixture is None else number)
    return drawn.padded(np.arange(len(drawn)), pad_id)
