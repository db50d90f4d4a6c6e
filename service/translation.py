"""One accepted request while it runs: engine events become text, in reading order.

Segments decode in parallel; their events wait in the engine's queues until the segments before them are
finished, so that what is emitted reads from start to end. Layout is emitted with the segment that it belongs
to: what stands before it first, what follows it once the segment is finished. Knows the engine's door and
tokenizers; must not know HTTP.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from model.decoding.strategy import Hypothesis
from service.assembly import assemble_text
from service.detokenizer import IncrementalDetokenizer
from service.engine.handle import SegmentEvents
from service.engine.request import DraftEvent, FailedEvent, FinishedEvent, SegmentTimings, TokensEvent
from service.engine_faults import service_error
from service.errors import DeadlinePassed
from service.jobs import (
    Delta,
    ScoredToken,
    SegmentHypothesis,
    SegmentResult,
    TextResult,
    Timings,
    TranslationResult,
    Usage,
)
from service.planning import PlannedSegment, PlannedText
from service.registry import Route

# The engine ends a segment at its deadline itself; this covers an engine that does not answer any more.
DEADLINE_GRACE_SECONDS = 0.25
_UNCHANGED = SegmentHypothesis("", None, "stop")


class TranslationObserver(Protocol):
    """What metrics hear of translations; every call is cheap and does not raise."""

    def accepted(self, pair: str, source_tokens: int, characters: int) -> None: ...

    def segment_finished(self, pair: str, hypothesis: Hypothesis, timings: SegmentTimings) -> None: ...


@dataclass(slots=True)
class RunningSegment:
    """A planned segment that was submitted; `events` is None for one that passes through unchanged."""

    segment_id: str
    text_index: int
    segment_index: int
    route: Route
    plan: PlannedSegment
    events: SegmentEvents | None
    is_finished: bool = False


@dataclass(slots=True)
class _Progress:
    """What the segments so far add up to."""

    target_tokens: int = 0
    queue_seconds: list[float] = field(default_factory=list)
    first_token_seconds: list[float] = field(default_factory=list)


class RunningTranslation:
    """Iterate `events` once, or await `result`; leave the `with` block, and what still runs is cancelled.

    `started` and `deadline` are on the event loop's clock (`loop.time()`, which is `time.monotonic()`).
    """

    def __init__(
        self,
        translation_id: str,
        texts: Sequence[PlannedText],
        segments: Sequence[RunningSegment],
        *,
        started: float,
        deadline: float,
        characters: int,
        want_tokens: bool,
        observer: TranslationObserver,
    ) -> None:
        self.id = translation_id
        self.texts = tuple(texts)
        self._segments = segments
        self._started, self._deadline = started, deadline
        self._planning_seconds = asyncio.get_running_loop().time() - started
        self._characters = characters
        self._want_tokens = want_tokens
        self._observer = observer
        self._progress = _Progress()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()

    @property
    def segment_counts(self) -> list[int]:
        """Segments of each text."""
        return [len(text.segments) for text in self.texts]

    def cancel(self) -> None:
        """Tell the engine to drop what has not finished; harmless at any time, any number of times."""
        for running in self._segments:
            if running.events is not None and not running.is_finished:
                running.is_finished = True
                running.route.model.engine.cancel(running.segment_id)

    async def events(self) -> AsyncGenerator[Delta | SegmentResult]:
        """Deltas of every text in reading order, each segment closed by its result. Raises ServiceError."""
        for running in self._segments:
            # Closed at once, not when it is collected: what is left over must end with its request.
            async with aclosing(self._segment_events(running)) as events:
                async for event in events:
                    yield event

    async def result(self) -> TranslationResult:
        """The whole answer. Raises ServiceError."""
        by_text: list[list[SegmentResult]] = [[] for _ in self.texts]
        async for event in self.events():
            if isinstance(event, SegmentResult):
                by_text[event.text_index].append(event)
        texts = [self._text_result(text, done) for text, done in zip(self.texts, by_text, strict=True)]
        return TranslationResult(tuple(texts), self.usage(), self.timings())

    def usage(self) -> Usage:
        """Counts so far: complete once all events have been taken."""
        source_tokens = sum(max(0, len(running.plan.source_ids) - 1) for running in self._segments)
        return Usage(source_tokens, self._progress.target_tokens, self._characters)

    def timings(self) -> Timings:
        """Times so far: complete once all events have been taken."""
        progress = self._progress
        return Timings(
            self._since_start(progress.queue_seconds),
            self._since_start(progress.first_token_seconds),
            asyncio.get_running_loop().time() - self._started,
        )

    def _since_start(self, since_submission: Sequence[float]) -> float | None:
        """The earliest of these times; the engine counts from submission, the request began before."""
        return self._planning_seconds + min(since_submission) if since_submission else None

    def _text_result(self, text: PlannedText, segments: list[SegmentResult]) -> TextResult:
        return assemble_text(segments, text.options.num_hypotheses, text.detected_source)

    async def _segment_events(self, running: RunningSegment) -> AsyncGenerator[Delta | SegmentResult]:
        """One segment: layout before it, text as it becomes final, layout behind it, then its result."""
        segment = running.plan.segment
        if segment.before:
            yield self._delta(running, segment.before)
        hypotheses: tuple[SegmentHypothesis, ...] = (_UNCHANGED,)
        if running.events is not None:
            decoded = _SegmentText(running.route)
            async with aclosing(self._engine_events(running)) as events:
                async for event in events:
                    if text := decoded.take(event):
                        yield self._delta(running, text)
                    if isinstance(event, FinishedEvent):
                        hypotheses = self._finished(running, event, decoded.text)
        if segment.after:
            yield self._delta(running, segment.after)
        yield SegmentResult(running.text_index, running.segment_index, segment, hypotheses)

    def _delta(self, running: RunningSegment, text: str) -> Delta:
        return Delta(running.text_index, running.segment_index, text)

    async def _engine_events(self, running: RunningSegment) -> AsyncGenerator[TokensEvent | FinishedEvent]:
        """The segment's events as the engine sends them; a failure or the deadline is raised."""
        assert running.events is not None
        while True:
            try:
                async with asyncio.timeout_at(self._deadline + DEADLINE_GRACE_SECONDS):
                    event = await anext(running.events)
            except TimeoutError:
                raise DeadlinePassed("The translation was not finished in time.") from None
            if isinstance(event, FailedEvent):
                running.is_finished = True
                raise service_error(event.error) from event.error
            assert not isinstance(event, DraftEvent), "nobody asked for drafts"
            if isinstance(event, FinishedEvent):
                running.is_finished = True
            yield event
            if running.is_finished:
                return

    def _finished(
        self, running: RunningSegment, event: FinishedEvent, best_text: str
    ) -> tuple[SegmentHypothesis, ...]:
        best, timings = event.hypotheses[0], event.timings
        self._progress.target_tokens += len(best.token_ids)
        self._progress.queue_seconds.append(timings.queue_seconds)
        self._progress.first_token_seconds.append(timings.first_token_seconds)
        self._observer.segment_finished(running.route.pair, best, timings)
        tokenizer = running.route.model.tokenizer
        others = event.hypotheses[1:]
        texts = [best_text, *(tokenizer.decode_target(other.token_ids).strip() for other in others)]
        return tuple(
            self._hypothesis(running.route, hypothesis, text)
            for hypothesis, text in zip(event.hypotheses, texts, strict=True)
        )

    def _hypothesis(self, route: Route, hypothesis: Hypothesis, text: str) -> SegmentHypothesis:
        tokens: tuple[ScoredToken, ...] = ()
        if self._want_tokens:
            pieces = route.model.tokenizer.target_pieces(hypothesis.token_ids)
            tokens = tuple(map(ScoredToken, pieces, hypothesis.token_log_probs))
        return SegmentHypothesis(text, hypothesis.score, hypothesis.finish_reason, tokens)


class _SegmentText:
    """Token events of one segment, turned into text that will not change."""

    def __init__(self, route: Route) -> None:
        self._detokenizer = IncrementalDetokenizer(route.model.tokenizer)
        self._token_ids: list[int] = []
        self.text = ""

    def take(self, event: TokensEvent | FinishedEvent) -> str:
        """The text that this event makes final."""
        if isinstance(event, TokensEvent):
            self._token_ids += event.token_ids
            new = self._detokenizer.push(event.token_ids)
        else:
            best = event.hypotheses[0].token_ids
            seen = len(self._token_ids)
            if list(best[:seen]) != self._token_ids:
                raise RuntimeError("the engine streamed tokens that its answer does not begin with")
            # White space at the edges would come on top of the layout, which is kept as it was.
            new = (self._detokenizer.push(best[seen:]) + self._detokenizer.finish()).rstrip()
        if not self.text:
            new = new.lstrip()
        self.text += new
        return new
