"""From a job to a plan: model and direction of each text, its segments, their token ids.

Everything that can be refused for the request's own sake is refused here, before anything runs. Knows text,
languages, tokenizers and limits; must not know HTTP or the engine.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from model.decoding.options import DecodingOptions
from service.demands import Demands
from service.errors import FieldFault, InvalidRequest, LanguageNotAvailable, RequestTooLarge
from service.jobs import MAX_ATTENTION_TOKENS, TranslationJob
from service.languages import Detector, best_of, is_served
from service.masking import Mask
from service.protection import MaskedSource
from service.registry import ModelRegistry, Route, require_one_target
from service.segment_options import (
    banned_phrases,
    check_combinations,
    check_segments,
    checked_options,
    options_of_segment,
    target_prefix,
)
from service.segment_sources import segment_sources
from service.segmentation import Segment

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
    """A segment, its source ids and what of it is masked, as in `SegmentSource`. `options` are the text's as
    they hold for this segment."""

    segment: Segment
    source_ids: tuple[int, ...]
    options: DecodingOptions
    masked: MaskedSource | None = None

    @property
    def mask(self) -> Mask | None:
        """What of its text is masked."""
        return None if self.masked is None else self.masked.mask


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
        detected = None if job.source is not None else self._detect(job, index, routes)
        if job.source is None:
            source = detected or routes[0].source
            routes = [route for route in routes if route.source == source]
        route = require_one_target(routes)
        sources, banned = segment_sources(job, index, route), banned_phrases(job, route)
        prefix = target_prefix(job, route, sources[0].masked if sources else None)
        options = checked_options(job, route, prefix)
        segments = tuple(
            PlannedSegment(one.segment, one.source_ids, options_of_segment(options, index, place), one.masked)
            for place, one in enumerate(sources)
        )
        check_segments(job, index, sum(bool(planned.source_ids) for planned in segments))
        demands = Demands(route.model.tokenizer, prefix, banned)
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
