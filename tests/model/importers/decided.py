"""Whether a random model's choices are wide enough for two programs to make the same ones in float32.

Must not know: which program is the other.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from copy import deepcopy

import torch
from torch import Tensor

from model.masks import pad_batch
from model.transformer import Transformer

# The logits of two right programs differ by some 1e-6 in float32, by the processor's order of sums.
WIDE_ENOUGH = 2e-5


def narrowest_choice(
    model: Transformer,
    sources: Sequence[Sequence[int]],
    answers: Sequence[Sequence[int]],
    max_length: int,
    barred: Collection[int],
    num_given: int = 0,
) -> float:
    """Smallest distance of the two best logits, in float64, over all that greedy `answers` chose, ends too.

    Args:
        max_length: the tokens where an answer stops without choosing its end.
        barred: ids that could not be chosen.
        num_given: first tokens of each answer that were not chosen.
    """
    config, exact = model.config, deepcopy(model).double()
    ids, mask = pad_batch(sources, config.pad_id)
    targets, chosen = pad_batch([[config.decoder_start_id, *answer] for answer in answers], config.pad_id)
    with torch.no_grad():
        logits = exact(ids, mask, targets)[:, :max_length]
    logits[..., list(barred)] = -torch.inf
    chosen[:, :num_given] = False
    return float(_gaps(logits)[chosen[:, :max_length]].min())


def _gaps(logits: Tensor) -> Tensor:
    best, second = logits.topk(2, -1).values.unbind(-1)
    return best - second
