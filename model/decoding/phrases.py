"""Token sequences that must not be written.

Knows: which rows ban which sequences, log-probabilities, histories. Must not know: searches, segments.
Shapes: R rows, V vocabulary, N pairs of a row and a sequence that it bans, L tokens of the longest one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from model.decoding.history import History
from model.decoding.scoring import NEVER
from model.transfers import to_device

ANY = -2  # in a pattern: whatever stands there, even nothing

Phrase = tuple[int, ...]


class BannedPhrases:
    """The sequences that each row bans; derived once for a set of rows.

    A sequence is banned by barring its last token behind its first ones, so what it begins with stays free.
    """

    def __init__(self, phrases_of_row: Sequence[tuple[Phrase, ...]]) -> None:
        pairs = [(row, phrase) for row, phrases in enumerate(phrases_of_row) for phrase in phrases]
        longest = max((len(phrase) for _, phrase in pairs), default=1)
        heads = [[*[ANY] * (longest - len(phrase)), *phrase[:-1]] for _, phrase in pairs]
        self._rows = torch.tensor([row for row, _ in pairs], dtype=torch.long)
        self._last = torch.tensor([phrase[-1] for _, phrase in pairs], dtype=torch.long)
        self._heads = torch.tensor(heads, dtype=torch.long).view(len(pairs), longest - 1)

    def forbid(self, log_probs: Tensor, history: History) -> None:
        """Bar, in place, the tokens of `log_probs` [R, V] that would complete a banned sequence."""
        tails = history.tail(self._heads.shape[1])[self._rows]
        completes = ((self._heads == ANY) | (self._heads == tails)).all(dim=1)
        pairs = torch.stack((self._rows[completes], self._last[completes]))
        rows, token_ids = to_device(pairs, log_probs.device)
        log_probs[rows, token_ids] = NEVER
