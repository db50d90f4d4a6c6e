"""Label-smoothed cross-entropy, averaged over target tokens (section 5.4 of Vaswani et al. 2017).

Knows: logits, wanted ids, padding. Must not know: where they came from.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def smoothed_cross_entropy(logits: Tensor, target_ids: Tensor, pad_id: int, smoothing: float) -> Tensor:
    """Mean over real target tokens of -sum_v q(v) log p(v), in nats.

    q gives 1 - smoothing to the wanted token and spreads `smoothing` evenly over the vocabulary (Szegedy et
    al. 2016, section 7). `logits` [B, T, V], `target_ids` [B, T]; positions equal to `pad_id` do not count.
    """
    flat = logits.flatten(0, -2).float()
    return F.cross_entropy(flat, target_ids.flatten(), ignore_index=pad_id, label_smoothing=smoothing)
