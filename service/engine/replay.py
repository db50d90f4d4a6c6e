"""A stream that is decoded again after a restart: what its reader has is not sent twice, and never changes.

Knows: token ids. Must not know: why there was a restart.

    the reader has     5 9 4 7
    decoded again      5 9          nothing to send
    and on             4 7 8 2      8 2 is new
    or                 4 6          the reader cannot be told that 7 was wrong: the stream is broken
"""

from __future__ import annotations

from collections.abc import Sequence


class Deviation(Exception):
    """What is decoded now does not begin with what was sent."""


class SentTokens:
    """Tokens that a reader was sent, and how many of them the present decoding has repeated."""

    def __init__(self) -> None:
        self._token_ids: list[int] = []
        self._repeated = 0

    def start_again(self) -> None:
        """Decoding begins at the first token once more."""
        self._repeated = 0

    def take(self, token_ids: Sequence[int]) -> tuple[int, ...]:
        """The next tokens of the present decoding; those to send now. Raises `Deviation`."""
        overlap = token_ids[: len(self._token_ids) - self._repeated]
        if list(overlap) != self._token_ids[self._repeated : self._repeated + len(overlap)]:
            raise Deviation
        new = tuple(token_ids[len(overlap) :])
        self._token_ids += new
        self._repeated += len(token_ids)
        return new

    def check_answer(self, token_ids: Sequence[int]) -> None:
        """Raises `Deviation` when the whole answer does not begin with what was sent."""
        if list(token_ids[: len(self._token_ids)]) != self._token_ids:
            raise Deviation
