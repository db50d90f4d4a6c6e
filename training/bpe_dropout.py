"""One of many splits of a word that byte pairs allow: merges, best first, any of them left out by chance.

Knows: which joined pieces there are and their scores. Must not know: ids, texts, where chance comes from.

Provilkov et al. 2020, "BPE-Dropout: Simple and Effective Subword Regularization", section 3, algorithm 1. A
merge is two neighbours whose joined spelling is a piece, as in SentencePiece; of equal scores the leftmost is
first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping


class BpeDropout:
    """Draws splits of words. With `alpha` 0 no merge is left out, as by SentencePiece, with 1 each."""

    def __init__(self, scores: Mapping[str, float], alpha: float) -> None:
        """`scores` of all pieces that text is made of: the higher, the earlier a merge."""
        self._priorities = {piece: -score for piece, score in scores.items()}
        self._alpha = alpha

    def draw(self, word: str, uniform: Iterator[float]) -> list[str]:
        """Pieces that spell `word`; `uniform` gives numbers from 0 to below 1, one for each merge tried."""
        symbols = list(word)
        # What is left out is chosen anew in each round, and a round without a merge is the last.
        # (SentencePiece leaves a merge out for good, and so has more pieces for the same alpha.)
        while (place := self._place(symbols, uniform)) is not None:
            symbols[place : place + 2] = [symbols[place] + symbols[place + 1]]
        return symbols

    def _place(self, symbols: list[str], uniform: Iterator[float]) -> int | None:
        """Where the best merge that is not left out begins."""
        priorities = self._priorities
        merges = [
            (priorities[joined], place)
            for place in range(len(symbols) - 1)
            if (joined := symbols[place] + symbols[place + 1]) in priorities
        ]
        while merges:
            best = min(merges)
            if next(uniform) >= self._alpha:
                return best[1]
            merges.remove(best)
        return None
