"""Token ids that arrive bit by bit, to text that is safe to send.

Knows: which ids may still change the text before or after them. Must not know: beams, streams, HTTP.

Decoding every id on its own would be wrong: the first word mark of a text is no space and every other one is,
and byte pieces spell a character only together. What is sent is final, so three things are held back: the
bytes of an unfinished character, ids that show nothing yet at the start, and trailing white space (a
translation's last token is often a lone word mark; whether a word follows shows later).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from model.tokenizer import Tokenizer


class Detokenizer(Protocol):
    """One text. What `push` and `finish` answer, joined, is `tokenizer.decode_target` of all the ids.

    Raises TokenizerError for an id outside the vocabulary, RuntimeError after `finish`.
    """

    def push(self, token_ids: Sequence[int]) -> str:
        """The text that has become final by these next ids; often one piece, sometimes nothing."""

    def finish(self) -> str:
        """The rest: no more ids will come."""


def detokenizer_of(tokenizer: Tokenizer) -> Detokenizer:
    """For one text of this tokenizer's."""
    return SettledDetokenizer(tokenizer) if tokenizer.is_contextual else IncrementalDetokenizer(tokenizer)


class IncrementalDetokenizer:
    """A `Detokenizer` for pieces that spell the same wherever they stand, word marks and bytes aside.

    The cost of a push is that of its own ids: at most three older ones are decoded with them, and those at
    the start that show nothing.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._pending: list[int] = []  # ids whose text is not known yet
        self._held_space = ""
        self._started = False  # whether any text is there, held or sent; from then on a word mark is a space
        self._finished = False

    def push(self, token_ids: Sequence[int]) -> str:
        """The text that has become final by these next ids; often one piece, sometimes nothing."""
        self._check_open()
        spelled = (token_id for token_id in token_ids if not self._tokenizer.is_target_control(token_id))
        self._pending.extend(spelled)
        text = self._held_space + self._take(len(self._pending) - self._open_bytes())
        visible = text.rstrip()
        self._held_space = text[len(visible) :]
        return visible

    def finish(self) -> str:
        """The rest: no more ids will come. An unfinished character is U+FFFD, as in the whole decode."""
        self._check_open()
        self._finished = True
        return self._held_space + self._take(len(self._pending))

    def _check_open(self) -> None:
        if self._finished:
            raise RuntimeError("this text is finished")

    def _take(self, count: int) -> str:
        """Decode the first `count` pending ids; they leave once they show text."""
        ready = self._pending[:count]
        if self._started:
            text = self._tokenizer.decode_target_continuation(ready)
        else:
            text = self._tokenizer.decode_target(ready)
        self._started = self._started or bool(text)
        if self._started:
            del self._pending[:count]
        return text

    def _open_bytes(self) -> int:
        """How many of the last pending ids (0 to 3) may be the beginning of a UTF-8 character.

        A lead byte always begins a character, so the text may be cut before it whatever came earlier.
        """
        for length in range(1, min(3, len(self._pending)) + 1):
            byte = self._tokenizer.target_byte(self._pending[-length])
            if byte is None or byte < 0x80:
                return 0
            if byte >= 0xC0:
                return length if length < _character_length(byte) else 0
        return 0


class SettledDetokenizer:
    """A `Detokenizer` for words whose spacing depends on their neighbours: everything is decoded again.

    What is sent is what the tokenizer says is settled. A push costs a decoding of all the ids so far.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._token_ids: list[int] = []
        self._num_sent = 0  # characters
        self._finished = False

    def push(self, token_ids: Sequence[int]) -> str:
        """See `Detokenizer.push`."""
        self._check_open()
        spelled = (token_id for token_id in token_ids if not self._tokenizer.is_target_control(token_id))
        self._token_ids.extend(spelled)
        return self._text_of(self._tokenizer.num_settled(self._token_ids))

    def finish(self) -> str:
        """See `Detokenizer.finish`."""
        self._check_open()
        self._finished = True
        return self._text_of(len(self._token_ids))

    def _check_open(self) -> None:
        if self._finished:
            raise RuntimeError("this text is finished")

    def _text_of(self, count: int) -> str:
        """What the first ids show beyond what was sent."""
        new = self._tokenizer.decode_target(self._token_ids[:count])[self._num_sent :]
        self._num_sent += len(new)
        return new


def _character_length(lead_byte: int) -> int:
    """Bytes of the character that this byte announces (RFC 3629 table 3-7); 1 where it announces none."""
    if lead_byte >= 0xF5:
        return 1
    return 2 if lead_byte < 0xE0 else 3 if lead_byte < 0xF0 else 4
