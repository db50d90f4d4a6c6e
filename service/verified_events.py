"""Events of a segment whose text is free of banned phrases: decoded, looked through, if need be again.

    decode -> is a banned phrase in a hypothesis? -- no --> its FinishedEvent
                  ^                  | yes
                  +-- ban the tokens that spelled it

Each round bans at least one sequence of tokens more, so that the same spelling never comes twice. Nothing
is told before the text is known to be clean: neither tokens nor drafts. Knows the engine's door and phrases;
must not know HTTP.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace

from model.decoding import Hypothesis
from model.decoding.options import OptionError
from service.engine.errors import EngineError
from service.engine.handle import EngineHandle, SegmentEvents
from service.engine.request import DraftEvent, Event, FailedEvent, FinishedEvent, SegmentRequest, TokensEvent
from service.phrases import BannedPhrases, Spellings
from service.token_spans import TokenIds

MAX_ROUNDS = 12


class StillBanned(EngineError):
    """After so many rounds the model still writes a banned phrase."""

    reason = "banned"

    def __init__(self) -> None:
        super().__init__(f"a banned phrase is still there after {MAX_ROUNDS} rounds")


class VerifiedEvents:
    """One event, the segment's last. A later round keeps the place of the first."""

    def __init__(
        self, engine: EngineHandle, request: SegmentRequest, banned: BannedPhrases, events: SegmentEvents
    ) -> None:
        self._engine, self._request, self._banned = engine, request, banned
        self._events = events
        self._num_rounds, self._seconds, self._accepted_at = 1, 0.0, time.monotonic()
        self._is_over = False

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        while not self._is_over:
            event = await anext(self._events)
            if isinstance(event, TokensEvent | DraftEvent):
                continue
            if isinstance(event, FailedEvent) or not (found := self._found(event)).there:
                self._is_over = True
                return self._timed(event)
            self._seconds += event.timings.total_seconds
            try:
                self._again(found)
            except EngineError as error:
                self._is_over = True
                return FailedEvent(error)
        raise StopAsyncIteration

    async def aclose(self) -> None:
        await self._events.aclose()

    def _found(self, event: FinishedEvent) -> Spellings:
        """The banned phrases of all hypotheses that would be answered."""
        found = Spellings({}, {})
        for hypothesis in event.hypotheses:
            there, usual = self._banned.found_in(hypothesis.token_ids)
            found.there.update(there)
            found.usual.update(usual)
        return found

    def _again(self, found: Spellings) -> None:
        """The next round. Raises StillBanned, and what `EngineHandle.submit` raises."""
        options = self._request.options
        added = _added(found, options.banned_ids)
        if not added or self._num_rounds == MAX_ROUNDS:
            raise StillBanned
        try:
            options = replace(options, banned_ids=(*options.banned_ids, *added))
        except OptionError:  # more sequences than there may be
            raise StillBanned from None
        self._num_rounds += 1
        self._request = replace(self._request.again(self._accepted_at), options=options)
        self._events = self._engine.submit(self._request)

    def _timed(self, event: FinishedEvent | FailedEvent) -> FinishedEvent | FailedEvent:
        """With the time of all rounds together, since the segment was asked for once."""
        if isinstance(event, FailedEvent):
            return event
        return replace(event, timings=event.timings.later(self._seconds))


class LookedThroughEvents:
    """A segment's events, its answer looked through once more as it is seen: `text_of` puts back what was
    masked and leaves out symbols of no use, and words between which one stood may be a phrase."""

    def __init__(
        self, events: SegmentEvents, banned: BannedPhrases, text_of: Callable[[Hypothesis], str]
    ) -> None:
        self._events, self._banned, self._text_of = events, banned, text_of

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        event = await anext(self._events)
        if isinstance(event, FinishedEvent):
            texts = map(self._text_of, event.hypotheses)
            if any(self._banned.phrase_in(text) is not None for text in texts):
                return FailedEvent(StillBanned())
        return event

    async def aclose(self) -> None:
        await self._events.aclose()


def _added(found: Spellings, banned: Iterable[TokenIds]) -> list[TokenIds]:
    """Sequences to ban that are not banned yet, each once; none where nothing is left that could help.

    One that is there although it is banned began within a prefix, where nothing is barred: its end is banned
    in its stead, as much of it as is needed.
    """
    known = set(banned)
    added = dict[TokenIds, None]()
    for sequence in found.there:
        rest = sequence
        while rest in known:
            rest = rest[1:]
        if rest:
            added[rest] = None
    if added:
        added.update(dict.fromkeys(sequence for sequence in found.usual if sequence not in known))
    return list(added)
