"""An engine whose model is told its languages by tokens that nobody above here sees.

    request    source      tokens </s>             ->    [de] tokens </s>      to the engine
               prefix      tokens                  ->    [en] tokens
    events     target      tokens                  <-    [en] tokens           from it
               attention   without their rows and columns

So lengths, scores by token, streams and alignments are those of the text alone. The forced token's own
log-probability counts in a hypothesis's score, as a prefix's does; where scores are plain sums
(`length_penalty` 0) it is taken off again. Knows the engine's door and routes; must not know text or HTTP.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING

from model.decoding.demands import ratio_limit
from model.decoding.options import MAX_LENGTH_RATIO, MAX_TOKENS, MIN_LENGTH_RATIO, DecodingOptions
from model.decoding.strategy import Hypothesis
from model.language_signals import Signal
from service.engine.config import EngineSnapshot
from service.engine.handle import EngineHandle, SegmentEvents
from service.engine.request import DraftEvent, Event, FinishedEvent, SegmentRequest, TokensEvent
from service.registry import Route

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def engine_of(route: Route) -> EngineHandle:
    """The route's engine, told its direction where the model has to be."""
    signal = route.signal
    return SignalledEngine(route.model.engine, signal) if signal else route.model.engine


class SignalledEngine:
    """An `EngineHandle` around another one, for one direction."""

    def __init__(self, engine: EngineHandle, signal: Signal) -> None:
        self._engine, self._signal = engine, signal

    def submit(self, request: SegmentRequest) -> SegmentEvents:
        """See `EngineHandle.submit`. Raises `OptionError` as the engine does, for options that do not fit."""
        events = self._engine.submit(told(request, self._signal))
        return _TextEvents(events, request, self._signal)

    def cancel(self, segment_id: str) -> None:
        """See `EngineHandle.cancel`."""
        self._engine.cancel(segment_id)

    async def drain(self) -> None:
        """See `EngineHandle.drain`."""
        await self._engine.drain()

    def close(self) -> None:
        """See `EngineHandle.close`."""
        self._engine.close()

    def snapshot(self) -> EngineSnapshot:
        """See `EngineHandle.snapshot`."""
        return self._engine.snapshot()


def told(request: SegmentRequest, signal: Signal) -> SegmentRequest:
    """The request with the tokens of its direction."""
    options = _lengthened(request.options, signal, len(request.source_ids))
    return replace(request, source_ids=signal.around(request.source_ids), options=options)


def _lengthened(options: DecodingOptions, signal: Signal, num_source_tokens: int) -> DecodingOptions:
    """Limits of length that leave the text the room that it was given."""
    more = len(signal.before_target)
    ratio, longest = options.max_length_ratio, options.max_length
    longest = None if longest is None else min(longest + more, MAX_TOKENS)
    least = options.min_length + more if options.min_length else 0
    if ratio is not None:
        limit = ratio_limit(ratio, num_source_tokens) + more
        # Half a token below the limit that is meant, so that rounding up arrives at it and no further.
        ratio = (limit - 0.5) / (num_source_tokens + signal.num_source_tokens)
        if not MIN_LENGTH_RATIO <= ratio <= MAX_LENGTH_RATIO:  # what was asked for is at the edge itself
            longest, ratio = min(limit, longest or MAX_TOKENS), None
            least = min(least, longest - 1)
    return replace(
        options,
        prefix_ids=(*signal.before_target, *options.prefix_ids),
        max_length=longest,
        min_length=least,
        max_length_ratio=ratio,
    )


class _TextEvents:
    """The events of one segment without the tokens of its direction."""

    def __init__(self, events: SegmentEvents, request: SegmentRequest, signal: Signal) -> None:
        self._events, self._request, self._signal = events, request, signal
        self._hidden = len(signal.before_target)  # tokens still to come that are not told

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        while True:
            event = self._text_of(await anext(self._events))
            if event is not None:
                return event

    async def aclose(self) -> None:
        await self._events.aclose()

    def _text_of(self, event: Event) -> Event | None:
        """None for an event that tells nothing of the text."""
        more = len(self._signal.before_target)
        if isinstance(event, TokensEvent):
            shown = event.token_ids[self._hidden :]
            self._hidden = max(0, self._hidden - len(event.token_ids))
            return TokensEvent(shown) if shown else None
        if isinstance(event, DraftEvent):
            return DraftEvent(event.token_ids[more:])
        if isinstance(event, FinishedEvent):
            hypotheses = tuple(map(self._text_alone, event.hypotheses))
            attention = None if event.attention is None else self._of_text(event.attention)
            return replace(event, hypotheses=hypotheses, attention=attention)
        return event

    def _text_alone(self, hypothesis: Hypothesis) -> Hypothesis:
        more = len(self._signal.before_target)
        score = hypothesis.score
        if self._request.options.length_penalty == 0:
            score -= sum(hypothesis.token_log_probs[:more])
        return replace(
            hypothesis,
            token_ids=hypothesis.token_ids[more:],
            token_log_probs=hypothesis.token_log_probs[more:],
            score=score,
        )

    def _of_text(self, attention: NDArray[np.float32]) -> NDArray[np.float32]:
        """[L, H, T, S] without the rows and columns of the direction's tokens."""
        first = len(self._signal.before_source)
        last = attention.shape[-1] - len(self._signal.after_source)
        return attention[:, :, len(self._signal.before_target) :, first:last]
