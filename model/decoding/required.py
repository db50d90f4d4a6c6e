"""Token sequences that must be written: how far a hypothesis has come, and what it still has to write.

Knows: sequences and token ids, in plain Python. Must not know: tensors, log-probabilities, beams.

A phrase is met once the hypothesis contains it, in one piece, anywhere, its forced prefix included. Of a
phrase not met yet, as much counts as written as the hypothesis ends with. What is still missing, when that
one phrase is written on that has come furthest, and then all others, one after the other, is

    missing = (tokens of all phrases not met) - (tokens written of the one that has come furthest)

which is 0 exactly when all are met, and falls by at least 1 when that phrase is written on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Phrase = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """Of each phrase, how many of its first tokens the hypothesis ends with; all of them once it is met."""

    written: tuple[int, ...]


class RequiredPhrases:
    """The phrases of one segment, each followed as Knuth, Morris and Pratt (1977) do."""

    def __init__(self, phrases: Iterable[Phrase]) -> None:
        every = tuple(dict.fromkeys(phrases))
        # A phrase that stands inside another one comes with it.
        self.phrases = tuple(p for p in every if not any(p != q and _stands_in(p, q) for q in every))
        self._borders = [_borders(phrase) for phrase in self.phrases]

    @property
    def start(self) -> Progress:
        return Progress((0,) * len(self.phrases))

    def after(self, progress: Progress, token_id: int) -> Progress:
        """The progress of a hypothesis that is extended with `token_id`."""
        steps = zip(self.phrases, self._borders, progress.written, strict=True)
        return Progress(tuple(_step(phrase, borders, n, token_id) for phrase, borders, n in steps))

    def after_all(self, token_ids: Iterable[int]) -> Progress:
        progress = self.start
        for token_id in token_ids:
            progress = self.after(progress, token_id)
        return progress

    def num_missing(self, progress: Progress) -> int:
        pairs = zip(self.phrases, progress.written, strict=True)
        open_ones = [(len(phrase), written) for phrase, written in pairs if written < len(phrase)]
        return sum(length for length, _ in open_ones) - max((written for _, written in open_ones), default=0)

    def next_tokens(self, progress: Progress) -> set[int]:
        """The tokens that begin a phrase not met, or write one on. After any other, none is under way."""
        token_ids = set[int]()
        for phrase, borders, written in zip(self.phrases, self._borders, progress.written, strict=True):
            while written < len(phrase):
                token_ids.add(phrase[written])
                if not written:
                    break
                written = borders[written]
        return token_ids


def _stands_in(phrase: Phrase, other: Phrase) -> bool:
    return any(other[start : start + len(phrase)] == phrase for start in range(len(other)))


def _borders(phrase: Phrase) -> list[int]:
    """For each number of first tokens, how many of the phrase's first tokens these end with, all excepted."""
    borders = [0, 0]
    for token_id in phrase[1:]:
        length = borders[-1]
        while length and phrase[length] != token_id:
            length = borders[length]
        borders.append(length + (phrase[length] == token_id))
    return borders


def _step(phrase: Phrase, borders: list[int], written: int, token_id: int) -> int:
    if written == len(phrase):
        return written  # met once, met for good
    while written and phrase[written] != token_id:
        written = borders[written]
    return written + (phrase[written] == token_id)
