"""One accepted request while it runs: engine events become text, in reading order.

Segments decode in parallel; their events wait in the engine's queues until the segments before them are
finished, so that what is emitted reads from start to end. Layout is emitted with the segment that it belongs
to: what stands before it first, what follows it once the segment is finished. Knows the engine's door and
tokenizers; must not know HTTP.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Protocol, Self

from model.decoding.strategy import Hypothesis
from service.alternatives import Continuations
from service.assembly import assemble_text
from service.engine.handle import SegmentEvents
from service.engine.request import FinishedEvent, SegmentRequest, SegmentTimings
from service.engine_events import finished, until_finished
from service.jobs import (
    Alternative,
    Delta,
    Revision,
    ScoredToken,
    SegmentHypothesis,
    SegmentResult,
    TextResult,
    Timings,
    TranslationJob,
    TranslationResult,
    Usage,
)
from service.planning import PlannedSegment, PlannedText
from service.registry import Route, ServedModel
from service.segment_text import SegmentText, final_text
from service.unmasking import shown_pieces
from service.word_alignment import attention_map, word_pairs

_UNCHANGED = SegmentHypothesis("", None, "stop")
# A request may have thousands of short lines; other requests get their turn between so many.
SEGMENTS_AT_A_TIME = 100


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
    request: SegmentRequest | None = None  # what `events` answer
    is_finished: bool = False


def _text_of(running: RunningSegment, hypothesis: Hypothesis) -> str:
    return final_text(running.route.model.tokenizer, running.plan.mask, hypothesis)


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
        job: TranslationJob,
        observer: TranslationObserver,
    ) -> None:
        self.id = translation_id
        self.texts = tuple(texts)
        self._segments = segments
        self._started, self._deadline = started, deadline
        self._planning_seconds = asyncio.get_running_loop().time() - started
        self._job = job
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

    @property
    def models(self) -> set[ServedModel]:
        """Those that translate it."""
        return {text.route.model for text in self.texts}

    def cancel(self) -> None:
        """Tell the engine to drop what has not finished; harmless at any time, any number of times."""
        for running in self._segments:
            if running.events is not None and not running.is_finished:
                running.is_finished = True
                running.route.model.engine.cancel(running.segment_id)

    async def events(self) -> AsyncGenerator[Delta | Revision | SegmentResult]:
        """Deltas (in a draft also revisions) in reading order, each segment closed by its result.

        Raises ServiceError.
        """
        for running in self._segments:
            # Closed at once, not when it is collected: what is left over must end with its request.
            async with aclosing(self._segment_events(running)) as events:
                async for event in events:
                    yield event

    async def result(self) -> TranslationResult:
        """The whole answer. Raises ServiceError."""
        alternatives = await self._alternatives() if self._job.alternatives else None
        by_text: list[list[SegmentResult]] = [[] for _ in self.texts]
        for number, running in enumerate(self._segments, start=1):
            by_text[running.text_index].append(await self._whole(running))
            if number % SEGMENTS_AT_A_TIME == 0:
                await asyncio.sleep(0)

        def assemble() -> tuple[TextResult, ...]:
            return tuple(
                assemble_text(done, text.options.num_hypotheses, text.detected_source, alternatives)
                for text, done in zip(self.texts, by_text, strict=True)
            )

        is_short = len(self._segments) <= SEGMENTS_AT_A_TIME
        texts = assemble() if is_short else await asyncio.to_thread(assemble)
        return TranslationResult(texts, self.usage(), self.timings())

    def usage(self) -> Usage:
        """Counts so far: complete once all events have been taken."""
        source_tokens = sum(max(0, len(running.plan.source_ids) - 1) for running in self._segments)
        characters = sum(map(len, self._job.texts))
        return Usage(source_tokens, self._progress.target_tokens, characters)

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

    async def _alternatives(self) -> tuple[Alternative, ...]:
        """Of the one segment that there is (the plan has seen to that), while it is decoded itself."""
        (running,) = (one for one in self._segments if one.request is not None)
        assert running.request is not None
        demands = self.texts[running.text_index].demands
        continuations = Continuations(running.route, running.plan, running.request, demands, self._deadline)
        return await continuations.likeliest(self._job.alternatives)

    async def _whole(self, running: RunningSegment) -> SegmentResult:
        """One segment, of which nothing is shown before its end: its last event says all."""
        if running.events is None:
            return self._unchanged(running)
        event = await finished(running.events, self._deadline)
        return self._finished(running, event, _text_of(running, event.hypotheses[0]))

    async def _segment_events(
        self, running: RunningSegment
    ) -> AsyncGenerator[Delta | Revision | SegmentResult]:
        """One segment: layout before it, text as it becomes known, layout behind it, then its result."""
        place, segment = (running.text_index, running.segment_index), running.plan.segment
        if segment.before:
            yield Delta(*place, segment.before)
        result = self._unchanged(running)
        if running.events is not None:
            shown = SegmentText(running.route.model.tokenizer, running.plan.mask)
            async with aclosing(until_finished(running.events, self._deadline)) as events:
                async for event in events:
                    change = shown.take(event)
                    if change.drop:
                        yield Revision(*place, change.drop)
                    if change.text:
                        yield Delta(*place, change.text)
                    if isinstance(event, FinishedEvent):
                        result = self._finished(running, event, shown.text)
        if segment.after:
            yield Delta(*place, segment.after)
        yield result

    def _unchanged(self, running: RunningSegment) -> SegmentResult:
        return SegmentResult(running.text_index, running.segment_index, running.plan.segment, (_UNCHANGED,))

    def _finished(self, running: RunningSegment, event: FinishedEvent, best_text: str) -> SegmentResult:
        running.is_finished = True
        best, timings, segment = event.hypotheses[0], event.timings, running.plan.segment
        self._progress.target_tokens += len(best.token_ids)
        self._progress.queue_seconds.append(timings.queue_seconds)
        self._progress.first_token_seconds.append(timings.first_token_seconds)
        self._observer.segment_finished(running.route.pair, best, timings)
        texts = [best_text, *(_text_of(running, other) for other in event.hypotheses[1:])]
        hypotheses = [
            self._hypothesis(running, hypothesis, text)
            for hypothesis, text in zip(event.hypotheses, texts, strict=True)
        ]
        result = SegmentResult(running.text_index, running.segment_index, segment, tuple(hypotheses))
        return self._with_attention(result, running, event)

    def _with_attention(
        self, result: SegmentResult, running: RunningSegment, event: FinishedEvent
    ) -> SegmentResult:
        if event.attention is None:
            return result
        model, best, mask = running.route.model, event.hypotheses[0].token_ids, running.plan.mask
        if self._job.want_alignment:
            source = result.segment.source
            pairs = word_pairs(model.tokenizer, source, best, event.attention, model.alignment_layer, mask)
            result = replace(result, word_pairs=pairs)
        if self._job.want_attention:
            source_ids = running.plan.source_ids
            weights = attention_map(model.tokenizer, source_ids, best, event.attention, mask)
            result = replace(result, attention=weights)
        return result

    def _hypothesis(self, running: RunningSegment, hypothesis: Hypothesis, text: str) -> SegmentHypothesis:
        tokens: tuple[ScoredToken, ...] = ()
        if self._job.want_tokens:
            pieces = running.route.model.tokenizer.target_pieces(hypothesis.token_ids)
            shown = shown_pieces(running.plan.mask, pieces)
            tokens = tuple(map(ScoredToken, shown, hypothesis.token_log_probs))
        return SegmentHypothesis(text, hypothesis.score, hypothesis.finish_reason, tokens)
