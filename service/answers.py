"""From results to what the API answers: the answer object and the events of a stream.

Knows results and schemas; must not know HTTP, the engine or how text is made.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Iterable, Mapping
from contextlib import aclosing
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

from service.jobs import (
    Candidate,
    Delta,
    SegmentHypothesis,
    SegmentResult,
    TextResult,
    Timings,
    TranslationResult,
    Usage,
)
from service.schemas import (
    HypothesisAnswer,
    SegmentAnswer,
    TimingsAnswer,
    TokenAnswer,
    TranslateAnswer,
    TranslationAnswer,
    UsageAnswer,
)

if TYPE_CHECKING:  # importing it imports torch; the server listens before that
    from service.registry import Route
    from service.streaming import StreamEvent
    from service.translation import RunningTranslation

Value = TypeVar("Value")


def translate_answer(
    running: RunningTranslation, result: TranslationResult, empty: Route | None, wanted: Collection[str]
) -> TranslateAnswer:
    """The answer object; `empty` names model and languages where there are no texts, `wanted` is `return`."""
    names = _names(running, empty)
    translations = [_translation(text, wanted) for text in result.texts]
    if names["model"] is None:
        for translation, planned in zip(translations, running.texts, strict=True):
            translation.model = planned.route.model.name
    return TranslateAnswer(
        id=running.id,
        **names,
        translations=translations,
        usage=_usage(result.usage),
        timings=_timings(result.timings),
    )


async def stream_events(
    running: RunningTranslation, empty: Route | None, wanted: Collection[str]
) -> AsyncGenerator[StreamEvent]:
    """`start`, then deltas and segments in reading order, then `done`. Raises ServiceError on the way."""
    yield "start", _start(running, empty)
    async with aclosing(running.events()) as events:
        async for event in events:
            if isinstance(event, Delta):
                place = {"text_index": event.text_index, "segment_index": event.segment_index}
                yield "delta", {**place, "text": event.text}
            else:
                yield "segment", _segment_event(event, wanted)
    usage, timings = _usage(running.usage()), _timings(running.timings())
    yield "done", {"usage": usage.model_dump(), "timings": timings.model_dump()}


def _start(running: RunningTranslation, empty: Route | None) -> Mapping[str, Any]:
    start = {"id": running.id, **_names(running, empty), "segments": running.segment_counts}
    detected = [text.detected_source for text in running.texts]
    return {**start, "detected_sources": detected} if any(detected) else start


def _segment_event(result: SegmentResult, wanted: Collection[str]) -> dict[str, Any]:
    best = result.best
    event: dict[str, Any] = {
        "text_index": result.text_index,
        "segment_index": result.segment_index,
        "text": result.text,
        "score": best.score,
        "finish_reason": best.finish_reason,
    }
    if len(result.hypotheses) > 1:
        event["hypotheses"] = [_hypothesis(one).model_dump() for one in result.hypotheses]
    if "segments" in wanted:
        event["source"] = result.segment.source
        event["source_span"] = [result.segment.start, result.segment.end]
    if best.tokens:
        event["tokens"] = [token.model_dump() for token in _tokens(result, wanted)]
    return event


def _translation(text: TextResult, wanted: Collection[str]) -> TranslationAnswer:
    best = text.candidates[0]
    answer = TranslationAnswer(
        text=best.text,
        score=best.score,
        finish_reason=best.finish_reason,
        detected_source=text.detected_source,
    )
    if len(text.candidates) > 1:
        answer.hypotheses = [_hypothesis(candidate) for candidate in text.candidates]
    if "segments" in wanted:
        answer.segments = _segments(text.segments)
    if "tokens" in wanted or "scores" in wanted:
        answer.tokens = list(chain.from_iterable(_tokens(result, wanted) for result in text.segments))
    return answer


def _segments(results: Iterable[SegmentResult]) -> list[SegmentAnswer]:
    """Segments with their places; in the translation, layout before a segment shifts it."""
    answers = []
    offset = 0
    for result in results:
        start = offset + len(result.segment.before)
        offset += len(result.text)
        if result.segment.source:
            answers.append(_segment(result, start))
    return answers


def _segment(result: SegmentResult, start: int) -> SegmentAnswer:
    best = result.best
    answer = SegmentAnswer(
        source=result.segment.source,
        text=best.text,
        score=best.score,
        finish_reason=best.finish_reason,
        source_span=(result.segment.start, result.segment.end),
        target_span=(start, start + len(best.text)),
    )
    if len(result.hypotheses) > 1:
        answer.hypotheses = [_hypothesis(one) for one in result.hypotheses]
    return answer


def _hypothesis(one: Candidate | SegmentHypothesis) -> HypothesisAnswer:
    return HypothesisAnswer(text=one.text, score=one.score, finish_reason=one.finish_reason)


def _tokens(result: SegmentResult, wanted: Collection[str]) -> list[TokenAnswer]:
    with_scores = "scores" in wanted
    return [
        TokenAnswer(
            segment_index=result.segment_index,
            token=one.token,
            log_prob=one.log_prob if with_scores else None,
        )
        for one in result.best.tokens
    ]


def _names(running: RunningTranslation, empty: Route | None) -> dict[str, str | None]:
    """Model, source and target that all texts have in common; None for one in which they differ."""
    routes = [text.route for text in running.texts] or ([empty] if empty else [])
    return {
        "model": _common(route.model.name for route in routes),
        "source": _common(route.source for route in routes),
        "target": _common(route.target for route in routes),
    }


def _common(values: Iterable[Value]) -> Value | None:
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else None


def _usage(usage: Usage) -> UsageAnswer:
    return UsageAnswer(
        source_tokens=usage.source_tokens, target_tokens=usage.target_tokens, characters=usage.characters
    )


def _timings(timings: Timings) -> TimingsAnswer:
    return TimingsAnswer(
        queue_ms=_milliseconds(timings.queue_seconds),
        first_token_ms=_milliseconds(timings.first_token_seconds),
        total_ms=round(timings.total_seconds * 1000, 3),
    )


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)
