"""The journey of a request: planned, submitted to its models' engines, and handed back while it runs.

    job -> Admission -> Planner -> PlannedText -> engine's door -> RunningTranslation -> events or result

Knows the models, who may come in, the planner and the engines' doors; must not know HTTP or JSON.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence

from service.admission import Admission, Patience, Place
from service.engine.errors import EngineError
from service.engine.request import SegmentRequest
from service.engine_faults import service_error
from service.errors import FieldFault, InvalidRequest
from service.jobs import TranslationJob
from service.languages import DetectedLanguage, Detector
from service.planning import PlannedText, Planner
from service.registry import ModelRegistry, Route, ServedModel
from service.signalled_engine import engine_of
from service.translation import SEGMENTS_AT_A_TIME, RunningSegment, RunningTranslation, TranslationObserver

# Below this many characters planning takes less time than handing it to another thread.
INLINE_CHARACTERS = 4_000


class Translator:
    """Translates texts with the registry's models, which stay the same: where others are to be served,
    another translator is made, which takes over from the one `before` it. Use from one event loop."""

    def __init__(
        self,
        registry: ModelRegistry,
        planner: Planner,
        detector: Detector,
        observer: TranslationObserver,
        *,
        default_timeout_seconds: float,
        max_timeout_seconds: float,
        before: Translator | None = None,
    ) -> None:
        self.registry = registry
        self._planner = planner
        self._detector = detector
        self._observer = observer
        self._admission: Admission = Admission(registry.models, None if before is None else before._admission)
        self._default_timeout_seconds = default_timeout_seconds
        self._max_timeout_seconds = max_timeout_seconds

    async def start(self, job: TranslationJob) -> RunningTranslation:
        """Plan the job and submit all its segments. Raises ServiceError for all that can be refused."""
        started, timeout = asyncio.get_running_loop().time(), self._timeout(job)
        with self._reserve(job, timeout) as place:
            texts = await self._plan(job)
            self._correct(job, texts, place)
            return await self._submit(job, texts, place, started, started + timeout)

    def _reserve(self, job: TranslationJob, timeout: float) -> Place:
        """A place in the queue before anything takes time. Raises what needs no tokens to be refused."""
        self._planner.check_size(job.texts)
        models = _possible_models(self.registry.select(job.model, job.source, job.target))
        patience = Patience(timeout, job.priority)
        return self._admission.reserve(models, sum(map(len, job.texts)), patience)

    def _correct(self, job: TranslationJob, texts: Sequence[PlannedText], place: Place) -> None:
        tokens: Counter[ServedModel] = Counter()
        for text, source in zip(texts, job.texts, strict=True):
            count = sum(len(segment.source_ids) for segment in text.segments)
            tokens[text.route.model] += count
            self._admission.learn(text.route.model, len(source), count)
        self._admission.correct(place, tokens)

    def route_of_empty(self, job: TranslationJob) -> Route:
        """What names model and languages for a request without texts. Raises ServiceError."""
        return self._planner.route_of_empty(job)

    async def detect(self, texts: Sequence[str]) -> list[Sequence[DetectedLanguage]]:
        """The likely languages of each text, best first. Raises ServiceError for too much text."""
        self._planner.check_size(texts)

        def detect() -> list[Sequence[DetectedLanguage]]:
            return [self._detector.detect(text) for text in texts]

        is_short = sum(map(len, texts)) <= INLINE_CHARACTERS
        return detect() if is_short else await asyncio.to_thread(detect)

    @property
    def is_available(self) -> bool:
        """Whether no model's engine is down for longer than a restart takes."""
        return all(model.engine.snapshot().is_available for model in self.registry.models)

    @property
    def reserved_tokens(self) -> int:
        """Source tokens that were let in and that no engine counts yet."""
        return self._admission.reserved_tokens

    async def drain(self) -> None:
        """Wait until every engine has finished what it accepted; new work is refused meanwhile."""
        await asyncio.gather(*(model.engine.drain() for model in self.registry.models))

    def close(self) -> None:
        """Stop the engines at once."""
        for model in self.registry.models:
            model.engine.close()

    def _timeout(self, job: TranslationJob) -> float:
        timeout = self._default_timeout_seconds if job.timeout_seconds is None else job.timeout_seconds
        if timeout > self._max_timeout_seconds:
            bound = f"at most {round(self._max_timeout_seconds * 1000)}"
            fault = FieldFault("timeout_ms", bound, round(timeout * 1000))
            raise InvalidRequest(f"timeout_ms must be {bound}.", faults=[fault])
        return timeout

    async def _plan(self, job: TranslationJob) -> list[PlannedText]:
        if sum(map(len, job.texts)) <= INLINE_CHARACTERS:
            return self._planner.plan(job)
        return await asyncio.to_thread(self._planner.plan, job)

    async def _submit(
        self,
        job: TranslationJob,
        texts: list[PlannedText],
        place: Place,
        started: float,
        deadline: float,
    ) -> RunningTranslation:
        translation_id = uuid.uuid4().hex
        segments: list[RunningSegment] = []
        running = RunningTranslation(
            translation_id,
            texts,
            segments,
            started=started,
            deadline=deadline,
            job=job,
            observer=self._observer,
        )
        try:
            for segment in _segments(translation_id, texts):
                self._submit_segment(job, segment, texts[segment.text_index], deadline)
                segments.append(segment)
                self._admission.submitted(place, segment.route.model, len(segment.plan.source_ids))
                if len(segments) % SEGMENTS_AT_A_TIME == 0:
                    await asyncio.sleep(0)
        except BaseException as error:
            running.cancel()
            if isinstance(error, EngineError):
                raise service_error(error) from error
            raise
        for text, source in zip(texts, job.texts, strict=True):
            tokens = sum(max(0, len(segment.source_ids) - 1) for segment in text.segments)
            self._observer.accepted(text.route.pair, tokens, len(source))
        return running

    def _submit_segment(
        self, job: TranslationJob, segment: RunningSegment, text: PlannedText, deadline: float
    ) -> None:
        if not segment.plan.source_ids:
            return
        request = SegmentRequest(
            segment_id=segment.segment_id,
            source_ids=segment.plan.source_ids,
            options=segment.plan.options,
            stream=job.stream,
            draft=job.draft,
            want_attention=job.want_alignment or job.want_attention,
            priority=job.priority,
            deadline=deadline,
        )
        segment.request = request
        masked = segment.plan.masked
        copied = None if masked is None else masked.ids
        events = text.demands.submit(engine_of(segment.route), request, copied, segment.plan.mask)
        segment.events = events


def _possible_models(routes: Sequence[Route]) -> list[ServedModel]:
    """Where a text may go: of the routes from one source, only the first is ever taken."""
    first = {route.source: route.model for route in reversed(routes)}
    return list(dict.fromkeys(first.values()))


def _segments(translation_id: str, texts: Sequence[PlannedText]) -> Iterator[RunningSegment]:
    """Every segment of every text in reading order, not yet submitted."""
    for text_index, text in enumerate(texts):
        for segment_index, plan in enumerate(text.segments):
            segment_id = f"{translation_id}/{text_index}.{segment_index}"
            yield RunningSegment(segment_id, text_index, segment_index, text.route, plan, None)
