"""What a request demands of a segment's text beyond what an engine knows, and how it is submitted with that.

    prefix that ends within a word  -> HealedEvents
    what must not change            ->   CopiedEvents
    banned phrases                  ->     VerifiedEvents -> the engine's door
                                        and LookedThroughEvents around what must not change

Knows these wrappers and the engine's door; must not know HTTP or what they do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from model.decoding.options import OptionError
from model.tokenizer import Tokenizer
from service.copied_events import CopiedEvents
from service.engine.errors import EngineError
from service.engine.handle import EngineHandle, SegmentEvents
from service.engine.request import SegmentRequest
from service.masking import Mask
from service.phrases import BannedPhrases
from service.prefix_healing import HealedEvents, held_ids
from service.protection import CopiedIds
from service.segment_text import final_text
from service.verified_events import LookedThroughEvents, VerifiedEvents


class Unfit(EngineError):
    """The model cannot do what the options demand of this segment: the prefix is too long, for one."""

    reason = "unfit"

    def __init__(self, error: OptionError) -> None:
        super().__init__(str(error))
        self.field, self.bound, self.value = error.field, error.bound, error.value


@dataclass(frozen=True, slots=True)
class Demands:
    """Of one text: the `prefix` that its first segment begins with, and what no segment holds."""

    tokenizer: Tokenizer
    prefix: str = ""
    banned: BannedPhrases | None = None

    def without_prefix(self) -> Demands:
        """For a segment whose prefix is given in tokens alone."""
        return replace(self, prefix="")

    def submit(
        self,
        engine: EngineHandle,
        request: SegmentRequest,
        copied: CopiedIds | None = None,
        mask: Mask | None = None,
    ) -> SegmentEvents:
        """`engine.submit`, with all that is demanded; `copied` says what the segment copies, `mask` how that
        is shown.

        Raises `Unfit`, and what `EngineHandle.submit` raises.
        """

        def verified(asked: SegmentRequest) -> SegmentEvents:
            try:
                events = engine.submit(asked)
            except OptionError as error:
                raise Unfit(error) from error
            return events if self.banned is None else VerifiedEvents(engine, asked, self.banned, events)

        def complete(asked: SegmentRequest) -> SegmentEvents:
            if copied is None:
                return verified(asked)
            return self._looked_through(CopiedEvents(verified, asked, copied), mask)

        held = None
        if self.prefix and request.options.prefix_ids:
            held = held_ids(self.tokenizer, self.prefix, request.options.prefix_ids)
        if held is None:
            return complete(request)
        return HealedEvents(engine, request, self.tokenizer, self.prefix, held, complete)

    def _looked_through(self, events: SegmentEvents, mask: Mask | None) -> SegmentEvents:
        if self.banned is None:
            return events
        return LookedThroughEvents(events, self.banned, lambda best: final_text(self.tokenizer, mask, best))
