"""What a row has written already: made dearer, or never repeated in the same order.

Knows: log-probabilities and histories of rows. Must not know: searches, segments, other rules.
Shapes: R rows, T positions, V vocabulary. All rows take part, those that ask for nothing with no effect, so
that the work is that of [R, T] and not of [R, V]. Log-probabilities are on the device, all else on the host.
"""

from __future__ import annotations

import torch
from torch import Tensor

from model.decoding.history import History
from model.decoding.scoring import NEVER
from model.transfers import to_device


def penalise_repetition(log_probs: Tensor, history: History, penalties: Tensor) -> None:
    """Multiply, in place, the log-probabilities [R, V] of tokens that a row holds by its penalty [R].

    This is the penalty of Keskar et al. 2019, applied to log-probabilities, which are at most 0: above 1 it
    discourages, below 1 it encourages, 1 does nothing. How often a token stands there does not matter.
    """
    if not history.token_ids.shape[1]:
        return
    # Padding stands for the row's first token once more, and a row without any for a token that is kept.
    first = history.token_ids[:, :1].clamp(min=0)
    token_ids = torch.where(history.is_real(), history.token_ids, first)
    factors = torch.where(history.lengths > 0, penalties, 1.0).to(log_probs.dtype)[:, None]
    places, factors = (to_device(one, log_probs.device) for one in (token_ids, factors))
    log_probs.scatter_(1, places, log_probs.gather(1, places) * factors)


def forbid_repeated_ngrams(log_probs: Tensor, history: History, asks: Tensor, size: int) -> None:
    """Bar, in place, every token that would complete a sequence of `size` tokens that the row holds.

    Each such sequence of the past is compared, but for its last token, with the row's last `size` - 1 tokens.
    `asks` [R] says which rows want it.
    """
    if history.token_ids.shape[1] < size:
        return
    windows = history.token_ids.unfold(1, size, 1)  # [R, T - size + 1, size]
    begins_alike = (windows[..., :-1] == history.tail(size - 1)[:, None]).all(dim=-1)
    repeated = begins_alike & history.is_real()[:, size - 1 :] & asks[:, None]
    ceilings = torch.where(repeated, NEVER, torch.inf).to(log_probs.dtype)
    places = windows[..., -1].clamp(min=0)
    places, ceilings = (to_device(one, log_probs.device) for one in (places, ceilings))
    log_probs.scatter_reduce_(1, places, ceilings, "amin")
