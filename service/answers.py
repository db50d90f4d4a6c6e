"""From results to what the API answers: the answer object and the events of a stream.

Knows results and schemas; must not know HTTP, the engine or how text is made.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Iterable, Iterator, Mapping
from contextlib import aclosing
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

from service.answer_schemas import (
    AlignmentAnswer,
    AlternativeAnswer,
    AttentionAnswer,
    HypothesisAnswer,
    SegmentAnswer,
    TimingsAnswer,
    TokenAnswer,
    TranslateAnswer,
    TranslationAnswer,
    UsageAnswer,
)
from service.jobs import (
    Alternative,
    Candidate,
    Delta,
    Revision,
    SegmentHypothesis,
    SegmentResult,
    TextResult,
    Timings,
    TranslationResult,
    Usage,
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
    """`start`, then what comes in reading order, then `done`. Raises ServiceError on the way."""
    yield "start", _start(running, empty)
    offsets = [0] * len(running.texts)  # characters of each text that stand before the segment at hand
    async with aclosing(running.events()) as events:
        async for event in events:
            place = {"text_index": event.text_index, "segment_index": event.segment_index}
            if isinstance(event, Delta):
                yield "delta", {**place, "text": event.text}
            elif isinstance(event, Revision):
                yield "revise", {**place, "drop": event.drop}
            else:
                yield "segment", {**place, **_segment_event(event, wanted, offsets[event.text_index])}
                offsets[event.text_index] += len(event.text)
    usage, timings = _usage(running.usage()), _timings(running.timings())
    yield "done", {"usage": usage.model_dump(), "timings": timings.model_dump()}


def _start(running: RunningTranslation, empty: Route | None) -> Mapping[str, Any]:
    start = {"id": running.id, **_names(running, empty), "segments": running.segment_counts}
    detected = [text.detected_source for text in running.texts]
    return {**start, "detected_sources": detected} if any(detected) else start


def _segment_event(result: SegmentResult, wanted: Collection[str], offset: int) -> dict[str, Any]:
    best = result.best
    event: dict[str, Any] = {
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
    if "alignment" in wanted:
        event["alignment"] = [one.model_dump(mode="json") for one in _alignment(result, offset)]
    if result.attention is not None:
        event["attention"] = _attention(result).model_dump()
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
    if "alignment" in wanted:
        answer.alignment = [
            pair for offset, one in _placed(text.segments) for pair in _alignment(one, offset)
        ]
    if "attention" in wanted:
        answer.attention = [_attention(one) for one in text.segments if one.attention is not None]
    if text.alternatives is not None:
        answer.alternatives = [_alternative(one) for one in text.alternatives]
    return answer


def _placed(results: Iterable[SegmentResult]) -> Iterator[tuple[int, SegmentResult]]:
    """Each segment with the length of the translation before it."""
    offset = 0
    for result in results:
        yield offset, result
        offset += len(result.text)


def _segments(results: Iterable[SegmentResult]) -> list[SegmentAnswer]:
    """Segments with their places; in the translation, layout before a segment shifts it."""
    return [
        _segment(result, offset + len(result.segment.before))
        for offset, result in _placed(results)
        if result.segment.source
    ]


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


def _alignment(result: SegmentResult, offset: int) -> list[AlignmentAnswer]:
    """Pairs of words with their places in the whole texts; `offset` is that of the segment's translation."""
    source, target = result.segment.start, offset + len(result.segment.before)
    return [
        AlignmentAnswer(
            source_span=(source + pair.source_span[0], source + pair.source_span[1]),
            target_span=(target + pair.target_span[0], target + pair.target_span[1]),
            weight=pair.weight,
        )
        for pair in result.word_pairs
    ]


def _attention(result: SegmentResult) -> AttentionAnswer:
    assert result.attention is not None
    return AttentionAnswer(
        segment_index=result.segment_index,
        source_tokens=list(result.attention.source_tokens),
        target_tokens=list(result.attention.target_tokens),
        values=result.attention.values,
    )


def _alternative(one: Alternative) -> AlternativeAnswer:
    return AlternativeAnswer(
        next=one.next,
        token=one.token,
        log_prob=one.log_prob,
        text=one.candidate.text,
        score=one.candidate.score,
        finish_reason=one.candidate.finish_reason,
    )


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
