"""What a stream shows of one segment: token events become text that is added, and in a draft also taken back.

Knows tokens and tokenizers; must not know the engine's door, layout or HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass

from model.tokenizer import Tokenizer
from service.detokenizer import detokenizer_of
from service.engine.request import DraftEvent, FinishedEvent, TokensEvent


@dataclass(frozen=True, slots=True)
class Change:
    """The last `drop` code points go, then `text` comes; either may be nothing."""

    drop: int
    text: str


class SegmentText:
    """`text` is what has been shown; after the `FinishedEvent` it is the best hypothesis's text, trimmed.

    White space at the edges is never shown: it would come on top of the layout, which is kept as it was.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._detokenizer = detokenizer_of(tokenizer)
        self._token_ids: list[int] = []
        self._is_draft = False
        self.text = ""

    def take(self, event: TokensEvent | DraftEvent | FinishedEvent) -> Change:
        """What this event changes. Certain tokens only add."""
        if isinstance(event, DraftEvent):
            self._is_draft = True
            return self._replace(detokenizer_of(self._tokenizer).push(event.token_ids).lstrip())
        if self._is_draft:
            if isinstance(event, TokensEvent):
                raise RuntimeError("the engine streamed certain tokens in a draft")
            return self._replace(self._tokenizer.decode_target(event.hypotheses[0].token_ids).strip())
        if isinstance(event, TokensEvent):
            self._token_ids += event.token_ids
            return self._add(self._detokenizer.push(event.token_ids))
        return self._add(self._rest(event).rstrip())

    def _rest(self, event: FinishedEvent) -> str:
        best = event.hypotheses[0].token_ids
        seen = len(self._token_ids)
        if list(best[:seen]) != self._token_ids:
            raise RuntimeError("the engine streamed tokens that its answer does not begin with")
        return self._detokenizer.push(best[seen:]) + self._detokenizer.finish()

    def _add(self, new: str) -> Change:
        if not self.text:
            new = new.lstrip()
        self.text += new
        return Change(0, new)

    def _replace(self, wanted: str) -> Change:
        kept = _common_length(self.text, wanted)
        change = Change(len(self.text) - kept, wanted[kept:])
        self.text = wanted
        return change


def _common_length(one: str, other: str) -> int:
    """Code points that two texts begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (left, right) in pairs if left != right), min(len(one), len(other)))
