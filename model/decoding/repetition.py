"""What a row has written already: made dearer, or never repeated in the same order.

Knows: log-probabilities and histories of rows. Must not know: searches, segments, other rules.
Shapes: R rows, T positions, V vocabulary; `rows` [N] are those that ask for the rule.
"""

from __future__ import annotations

import torch
from torch import Tensor

from model.decoding.history import History, marked
from model.decoding.scoring import NEVER


def penalise_repetition(log_probs: Tensor, history: History, rows: Tensor, penalties: Tensor) -> None:
    """Multiply, in place, the log-probabilities [R, V] of tokens that the row holds by its penalty [N].

    This is the penalty of Keskar et al. 2019, applied to log-probabilities, which are at most 0: above 1 it
    discourages, below 1 it encourages. How often the token stands there does not matter.
    """
    held, mine = history.of_rows(rows), log_probs[rows]
    seen = marked(held.token_ids, held.is_real(), log_probs.shape[1])
    log_probs[rows] = torch.where(seen, mine * penalties.to(mine.dtype)[:, None], mine)


def forbid_repeated_ngrams(log_probs: Tensor, history: History, rows: Tensor, size: int) -> None:
    """Bar, in place, every token that would complete a sequence of `size` tokens that the row holds.

    Each such sequence of the past is compared, but for its last token, with the row's last `size` - 1 tokens.
    """
    held = history.of_rows(rows)
    if held.token_ids.shape[1] < size:
        return
    windows = held.token_ids.unfold(1, size, 1)  # [N, T - size + 1, size]
    begins_alike = (windows[..., :-1] == held.tail(size - 1)[:, None]).all(dim=-1)
    repeated = begins_alike & held.is_real()[:, size - 1 :]
    barred = marked(windows[..., -1], repeated, log_probs.shape[1])
    log_probs[rows] = log_probs[rows].masked_fill(barred, NEVER)
