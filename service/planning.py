"""From a job to a plan: model and direction of each text, its segments, their token ids.

Everything that can be refused for the request's own sake is refused here, before anything runs. Knows text,
languages, tokenizers and limits; must not know HTTP or the engine.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from model.decoding.options import DecodingOptions
from service.demands import Demands
from service.errors import FieldFault, InvalidRequest, LanguageNotAvailable, RequestTooLarge, SegmentTooLong
from service.jobs import MAX_ATTENTION_TOKENS, TranslationJob
from service.language_codes import primary
from service.languages import Detector, best_of, is_served
from service.long_sentences import IndivisibleError, divide
from service.registry import ModelRegistry, Route, require_one_target
from service.segment_options import (
    banned_phrases,
    check_combinations,
    check_segments,
    checked_options,
    options_of_segment,
)
from service.segmentation import Segment, Span, has_letter, sentence_spans, to_segments, trim

# A detected language that nobody serves is believed only when the text says enough and the detector is sure;
# otherwise the likeliest served one is taken, since short texts are often mistaken.
SURE_CONFIDENCE = 0.9
SURE_LETTERS = 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one request: characters of all texts together, and number of texts."""

    max_text_characters: int
    max_texts: int


@dataclass(frozen=True, slots=True)
class PlannedSegment:
    """A segment and its source ids, `</s>` included; no ids where it passes through unchanged. `options` are
    the text's as they hold for this segment."""

    segment: Segment
    source_ids: tuple[int, ...]
    options: DecodingOptions


@dataclass(frozen=True, slots=True)
class PlannedText:
    """A text's way: model and direction, the detected source if none was given, its segments in order, and
    what is demanded of their text."""

    route: Route
    options: DecodingOptions
    detected_source: str | None
    segments: tuple[PlannedSegment, ...]
    demands: Demands


class Planner:
    """Makes plans. Pure but for the tokenizers it calls; safe to run in several threads."""

    def __init__(self, registry: ModelRegistry, detector: Detector, limits: Limits) -> None:
        self._registry = registry
        self._detector = detector
        self._limits = limits

    def plan(self, job: TranslationJob) -> list[PlannedText]:
        """One planned text per text, in order. Raises the 4xx members of ServiceError."""
        self.check_size(job.texts)
        check_combinations(job)
        routes = self._registry.select(job.model, job.source, job.target)
        texts = [self._plan_text(job, index, routes) for index in range(len(job.texts))]
        if job.want_attention:
            _check_attention(texts)
        return texts

    def route_of_empty(self, job: TranslationJob) -> Route:
        """The route that names model and languages in the answer to a request without texts."""
        return require_one_target(self._registry.select(job.model, job.source, job.target))

    def check_size(self, texts: Sequence[str]) -> None:
        """Raises RequestTooLarge for too many texts, or too many characters in all of them together."""
        if len(texts) > self._limits.max_texts:
            fault = FieldFault("text", f"at most {self._limits.max_texts} texts", len(texts))
            raise RequestTooLarge("There are too many texts in one request.", faults=[fault])
        characters = sum(map(len, texts))
        if characters > self._limits.max_text_characters:
            bound = f"at most {self._limits.max_text_characters} characters in all texts together"
            fault = FieldFault("text", bound, characters)
            raise RequestTooLarge("The texts are too long for one request.", faults=[fault])

    def _plan_text(self, job: TranslationJob, index: int, routes: Sequence[Route]) -> PlannedText:
        text = job.texts[index]
        detected = None if job.source is not None else self._detect(job, index, routes)
        if job.source is None:
            source = detected or routes[0].source
            routes = [route for route in routes if route.source == source]
        route = require_one_target(routes)
        options, banned = checked_options(job, route), banned_phrases(job, route)
        segments = tuple(
            PlannedSegment(segment, source_ids, options_of_segment(options, index, place))
            for place, (segment, source_ids) in enumerate(plan_segments(job, index, text, route))
        )
        check_segments(job, index, sum(bool(planned.source_ids) for planned in segments))
        demands = Demands(route.model.tokenizer, job.prefix, banned)
        return PlannedText(route, options, detected, segments, demands)

    def _detect(self, job: TranslationJob, index: int, routes: Sequence[Route]) -> str | None:
        """The served source language of a text; None for one without letters, which needs none."""
        text = job.texts[index]
        detected = self._detector.detect(text)
        if not detected:
            return None
        served = list(dict.fromkeys(route.source for route in routes))
        sure = detected[0].confidence >= SURE_CONFIDENCE and sum(map(str.isalpha, text)) >= SURE_LETTERS
        if sure and not is_served(detected[0].language, served):
            bound = "given, or the text in one of " + ", ".join(served)
            fault = FieldFault("source", bound, detected[0].language)
            detail = f"{job.field_of(index)} seems to be in a language that is not available here."
            raise LanguageNotAvailable(detail, faults=[fault])
        best = best_of(detected, served)
        return served[0] if best is None else best[0]


def _check_attention(texts: Sequence[PlannedText]) -> None:
    """Raises InvalidRequest where an answer with attention would be too large."""
    tokens = sum(max(0, len(segment.source_ids) - 1) for text in texts for segment in text.segments)
    if tokens > MAX_ATTENTION_TOKENS:
        bound = f"free of attention above {MAX_ATTENTION_TOKENS} source tokens in all texts together"
        raise InvalidRequest(f"return must be {bound}.", faults=[FieldFault("return", bound, tokens)])


def plan_segments(
    job: TranslationJob, index: int, text: str, route: Route
) -> list[tuple[Segment, tuple[int, ...]]]:
    """A text's segments with their source ids, each short enough for the route's model; a segment that passes
    through unchanged has no ids. Raises SegmentTooLong."""
    tokenizer, limit = route.model.tokenizer, route.max_source_length
    spans = sentence_spans(text, job.split, primary(route.source))
    encoded = tokenizer.encode_sources([text[start:end] for start, end in spans])
    pieces: list[tuple[Span, list[int]]] = []
    for span, source_ids in zip(spans, encoded, strict=True):
        if len(source_ids) <= limit:
            pieces.append((span, source_ids))
        elif job.split == "none":
            raise _too_long(job, index, limit, len(source_ids))
        else:
            pieces += _divided(job, index, span, route)
    # Of some letters (fillers, for one) the tokenizer leaves nothing but `</s>`: nothing to translate.
    pieces = [(span, source_ids) for span, source_ids in pieces if len(source_ids) > 1]
    segments = to_segments(text, [span for span, _ in pieces])
    if not pieces:
        return [(segment, ()) for segment in segments]
    return [(segment, tuple(ids)) for segment, (_, ids) in zip(segments, pieces, strict=True)]


def _divided(job: TranslationJob, index: int, span: Span, route: Route) -> list[tuple[Span, list[int]]]:
    text, tokenizer = job.texts[index], route.model.tokenizer
    limit = route.max_source_length
    try:
        parts = divide(text, span, lambda piece: len(tokenizer.encode_source(piece)), limit)
    except IndivisibleError as error:
        raise _too_long(job, index, limit, error.num_tokens) from None
    # A cut between characters may stand beside a space, which is layout as anywhere else.
    spans = [trim(text, part) for part in parts if has_letter(text[part[0] : part[1]])]
    encoded = tokenizer.encode_sources([text[start:end] for start, end in spans])
    return list(zip(spans, encoded, strict=True))


def _too_long(job: TranslationJob, index: int, limit: int, num_tokens: int) -> SegmentTooLong:
    bound = f"at most {limit} tokens in one piece; split 'sentences' divides longer texts"
    fault = FieldFault(job.field_of(index), bound, num_tokens)
    return SegmentTooLong(f"{job.field_of(index)} has more tokens than the model reads.", faults=[fault])
