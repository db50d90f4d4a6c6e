"""What a stream shows of one segment: token events become text that is added, and in a draft also taken back.

Knows tokens, tokenizers and masks; must not know the engine's door, layout or HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass

from model.decoding.strategy import Hypothesis
from model.tokenizer import Tokenizer
from service.detokenizer import detokenizer_of
from service.engine.request import DraftEvent, FinishedEvent, TokensEvent
from service.jobs import FinishReason
from service.masking import Mask
from service.unmasking import Unmasking, restored


@dataclass(frozen=True, slots=True)
class Change:
    """The last `drop` code points go, then `text` comes; either may be nothing."""

    drop: int
    text: str


class SegmentText:
    """`text` is what has been shown; after the `FinishedEvent` it is the best hypothesis's text, trimmed.

    White space at the edges is never shown: it would come on top of the layout, which is kept as it was.
    What was masked in the segment by `mask` is put back as soon as its character comes.
    """

    def __init__(self, tokenizer: Tokenizer, mask: Mask | None = None) -> None:
        self._tokenizer, self._mask = tokenizer, mask
        self._unmasking = None if mask is None else Unmasking(mask)
        self._detokenizer = detokenizer_of(tokenizer)
        self._token_ids: list[int] = []
        self._is_draft = False
        self.text = ""

    def take(self, event: TokensEvent | DraftEvent | FinishedEvent) -> Change:
        """What this event changes. Certain tokens only add."""
        if isinstance(event, DraftEvent):
            self._is_draft = True
            draft = detokenizer_of(self._tokenizer).push(event.token_ids).lstrip()
            return self._replace(restored(self._mask, draft, is_complete=False))
        if self._is_draft:
            if isinstance(event, TokensEvent):
                raise RuntimeError("the engine streamed certain tokens in a draft")
            return self._replace(final_text(self._tokenizer, self._mask, event.hypotheses[0]))
        if isinstance(event, TokensEvent):
            self._token_ids += event.token_ids
            return self._add(self._detokenizer.push(event.token_ids))
        return self._add(self._rest(event).rstrip(), event.hypotheses[0].finish_reason)

    def _rest(self, event: FinishedEvent) -> str:
        best = event.hypotheses[0].token_ids
        seen = len(self._token_ids)
        if list(best[:seen]) != self._token_ids:
            raise RuntimeError("the engine streamed tokens that its answer does not begin with")
        return self._detokenizer.push(best[seen:]) + self._detokenizer.finish()

    def _add(self, new: str, ended_by: FinishReason | None = None) -> Change:
        if not self.text:
            new = new.lstrip()
        if self._unmasking is not None:
            new = self._unmasking.push(new)
            new += self._unmasking.finish() if ended_by == "stop" else ""
        self.text += new
        return Change(0, new)

    def _replace(self, wanted: str) -> Change:
        kept = _common_length(self.text, wanted)
        change = Change(len(self.text) - kept, wanted[kept:])
        self.text = wanted
        return change


def final_text(tokenizer: Tokenizer, mask: Mask | None, hypothesis: Hypothesis) -> str:
    """The text of a finished hypothesis. One that a limit has cut may lack what stands further on."""
    text = tokenizer.decode_target(hypothesis.token_ids).strip()
    return restored(mask, text, is_complete=hypothesis.finish_reason == "stop")


def _common_length(one: str, other: str) -> int:
    """Code points that two texts begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (left, right) in pairs if left != right), min(len(one), len(other)))
