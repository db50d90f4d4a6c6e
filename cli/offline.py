"""A bundle behind the service's own translator, in this process: files get what requests would get.

Knows how the service is put together; must not know files, lines or what is printed.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from cli.line_translation import TranslatedLine
from cli.line_window import WindowSize
from cli.model_choice import Choice
from model.bundle_head import load_bundle_head, verify_bundle
from model.decoding import DecodingOptions, Hypothesis
from service.answers import translate_answer
from service.engine import EngineConfig
from service.engine.event_stream import EventStream
from service.engine.network_start import start_network
from service.engine.request import SegmentRequest, SegmentTimings
from service.engine.thread_engine import ThreadEngine
from service.engine_start import network_plan
from service.jobs import TranslationJob
from service.languages import DetectedLanguage
from service.planning import Limits, Planner
from service.registry import ModelRegistry, Route, ServedModel
from service.segmentation import SplitMode
from service.served_model import served_model
from service.settings import Settings
from service.translator import Translator

# A file has neither a deadline nor a size that would be too large: whoever calls bounds what is in flight.
_NO_LIMIT = 1 << 62
_NO_DEADLINE_SECONDS = 1e9


class OfflineTranslator:
    """Translates one text after the other, or many at once, in one direction and with the same options.

    `options` are those that were named; the model's defaults fill the rest. `wording` is what a job has of
    `prefix`, `banned` and `required`. Raises OptionError at once.
    """

    def __init__(
        self,
        translator: Translator,
        route: Route,
        options: Mapping[str, Any],
        split: SplitMode,
        wording: Mapping[str, Any] | None = None,
    ) -> None:
        self.options = DecodingOptions.with_defaults(options, route.model.defaults)
        self.route = route
        self._translator = translator
        self._named, self._split, self._wording = options, split, dict(wording or {})

    @property
    def alignment_layer(self) -> int:
        """The decoder layer whose attention aligns words best, as ModelConfig has it: -1 is the last."""
        return self.route.model.alignment_layer

    async def translate(self, text: str, *, with_attention: bool = False) -> TranslatedLine:
        """Raises ServiceError. Cancelled, it frees its rows. `with_attention` puts it into the answer."""
        job = TranslationJob(
            texts=(text,),
            is_array=False,
            source=self.route.source,
            target=self.route.target,
            options=self._named,
            split=self._split,
            want_attention=with_attention,
            may_stay=True,  # a blank line is one in the translation, and so is "* * *" or an address
            **self._wording,
        )
        with await self._translator.start(job) as running:
            result = await running.result()
        wanted = ("attention",) if with_attention else ()
        answer = translate_answer(running, result, None, wanted)
        return TranslatedLine(answer.translations[0], result.usage.target_tokens)


@contextmanager
def offline_translator(
    choice: Choice,
    options: Mapping[str, Any],
    split: SplitMode,
    settings: Settings,
    wording: Mapping[str, Any] | None = None,
) -> Iterator[OfflineTranslator]:
    """The bundle in memory, its engine running until the block is left. Raises BundleError, OptionError."""
    model = _load(choice.folder, settings)
    try:
        registry = ModelRegistry([model])
        route = Route(model, choice.source, choice.target)
        yield OfflineTranslator(assemble(registry), route, options, split, wording)
    finally:
        model.engine.close()


def check_bundle(choice: Choice, options: Mapping[str, Any]) -> None:
    """That it is whole and decodes with these options, for a bundle whose turn comes after hours of another.

    Raises BundleError, OptionError.
    """
    verify_bundle(choice.folder)
    DecodingOptions.with_defaults(options, load_bundle_head(choice.folder).info.decoding)


def window_size(settings: Settings) -> WindowSize:
    """Enough lines in flight that, at any beam, the batch is full and the next lines wait already."""
    return WindowSize(round_lines=max(WindowSize().round_lines, 2 * settings.max_rows))


class _PatientEngine(ThreadEngine):
    """Waits for every segment however long it takes: a file has no deadline."""

    def submit(self, request: SegmentRequest) -> EventStream:
        return super().submit(replace(request, deadline=None))


def _load(folder: Path, settings: Settings) -> ServedModel:
    head = load_bundle_head(folder)
    limits = (settings.num_threads, settings.cache_bytes_limit, settings.max_rows)
    started = start_network(folder, network_plan(settings), *limits)
    config = EngineConfig(
        max_rows=settings.max_rows,
        max_queue_tokens=_NO_LIMIT,
        cache_bytes_limit=settings.cache_bytes_limit,
        num_threads=settings.num_threads,
    )
    engine = _PatientEngine(
        started.network,
        config,
        bytes_per_position=started.bytes_per_position,
        make_faster=started.make_faster,
    )
    precision, device = started.network.precision, str(started.network.device)
    return served_model(head, engine, precision, device, copying=settings.copying)


def assemble(registry: ModelRegistry) -> Translator:
    """A translator without limits, detection and metrics."""
    nobody = _Nobody()
    return Translator(
        registry,
        Planner(registry, nobody, Limits(_NO_LIMIT, _NO_LIMIT)),
        nobody,
        nobody,
        default_timeout_seconds=_NO_DEADLINE_SECONDS,
        max_timeout_seconds=_NO_DEADLINE_SECONDS,
    )


class _Nobody:
    """Listens to nothing, and is asked nothing: the source language is always given."""

    def detect(self, text: str) -> list[DetectedLanguage]:
        return []

    def accepted(self, pair: str, source_tokens: int, characters: int) -> None: ...

    def segment_finished(self, pair: str, hypothesis: Hypothesis, timings: SegmentTimings) -> None: ...
