"""Stand-ins for the slow parts: an engine that answers what it is told, and a tokenizer of single characters.

Knows the engine's door and the tokenizer's public methods. With the defaults the fake engine is the identity:
what goes in comes out, so that whatever differs was done by the code under test.
"""

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from model.decoding.options import DecodingOptions
from model.decoding.strategy import Hypothesis
from model.tokenizer import Tokenizer
from service.engine.config import EngineSnapshot
from service.engine.errors import EngineError, SegmentCancelled
from service.engine.request import (
    Event,
    FailedEvent,
    FinishedEvent,
    SegmentRequest,
    SegmentTimings,
    TokensEvent,
)
from service.languages import DetectedLanguage
from service.metrics import Metrics
from service.planning import Limits, Planner
from service.registry import ModelRegistry, ServedModel
from service.translator import Translator

EOS = 3
_FIRST = 10


class CharacterTokenizer:
    """One token for each character; `</s>` is 3."""

    pad_id, unk_id, bos_id, eos_id = 0, 1, 2, EOS
    placeholders: tuple[str, ...] = ()
    target_bytes: Mapping[int, int] = {}
    is_contextual = False

    def encode_source(self, text: str) -> list[int]:
        return [ord(character) + _FIRST for character in text] + [EOS]

    def encode_sources(self, texts: Sequence[str]) -> list[list[int]]:
        return [self.encode_source(text) for text in texts]

    def knows_source(self, text: str) -> bool:
        return True

    def reads_source(self, text: str) -> bool:
        return True

    def decode_target(self, token_ids: Sequence[int]) -> str:
        return "".join(chr(token_id - _FIRST) for token_id in token_ids if token_id != EOS)

    def decode_target_continuation(self, token_ids: Sequence[int]) -> str:
        return self.decode_target(token_ids)

    def placeholder_id(self, symbol: str) -> int:
        return ord(symbol) + _FIRST

    def target_byte(self, token_id: int) -> int | None:
        return None

    def is_target_control(self, token_id: int) -> bool:
        return token_id == EOS

    def encode_target(self, text: str) -> list[int]:
        return self.encode_source(text)

    def source_spans(self, text: str) -> list[tuple[int, int]]:
        return [(start, start + 1) for start in range(len(text))]

    def target_spans(self, token_ids: Sequence[int]) -> list[tuple[int, int]]:
        lengths = [len(self.decode_target([token_id])) for token_id in token_ids]
        ends = list(itertools.accumulate(lengths))
        return [(end - length, end) for end, length in zip(ends, lengths, strict=True)]

    def source_pieces(self, token_ids: Sequence[int]) -> list[str]:
        return ["</s>" if token_id == EOS else chr(token_id - _FIRST) for token_id in token_ids]

    def target_pieces(self, token_ids: Sequence[int]) -> list[str]:
        return self.source_pieces(token_ids)


def character_tokenizer() -> Tokenizer:
    """A `CharacterTokenizer`, as the type that the service names."""
    return cast(Tokenizer, CharacterTokenizer())


def same(text: str) -> str:
    return text


class FakeEngine:
    """An `EngineHandle` in the event loop.

    `translate` maps a segment's text. `refuse` is raised by `submit` from the `refuse_after`-th segment on,
    `fail` ends each segment's events. While `gate` is given and not set, segments stand still after their
    first tokens. `tokens_per_event` says how coarse a stream is. A forced prefix stands before the
    translation. `script` says all events of a segment in place of this, `turns` how many turns of the event
    loop one of them takes.
    """

    def __init__(
        self,
        translate: Callable[[str], str] = same,
        *,
        refuse: EngineError | None = None,
        refuse_after: int = 0,
        fail: EngineError | None = None,
        gate: asyncio.Event | None = None,
        tokens_per_event: int = 3,
        finish_reason: str = "stop",
        script: Callable[[SegmentRequest], Sequence[Event]] | None = None,
        turns: Callable[[], int] = lambda: 1,
    ) -> None:
        self.translate = translate
        self.refuse, self.refuse_after, self.fail = refuse, refuse_after, fail
        self.gate = gate
        self.tokens_per_event = tokens_per_event
        self.finish_reason = finish_reason
        self.queue_tokens, self.max_queue_tokens, self.tokens_per_second = 2, 200_000, 10_000.0
        self.script, self.turns = script, turns
        self.requests: list[SegmentRequest] = []
        self.cancelled: list[str] = []
        self.running: set[str] = set()
        self.is_closed = False
        self.is_available = True

    def submit(self, request: SegmentRequest) -> "FakeEvents":
        if self.refuse is not None and len(self.requests) >= self.refuse_after:
            raise self.refuse
        self.requests.append(request)
        self.running.add(request.segment_id)
        return FakeEvents(self, request)

    def cancel(self, segment_id: str) -> None:
        if segment_id in self.running:
            self.running.discard(segment_id)
            self.cancelled.append(segment_id)

    async def drain(self) -> None:
        assert not self.running, "the service drains an engine once nothing runs"

    def close(self) -> None:
        self.is_closed = True

    def snapshot(self) -> EngineSnapshot:
        return EngineSnapshot(
            queue_segments=1,
            queue_tokens=self.queue_tokens,
            max_queue_tokens=self.max_queue_tokens,
            running_segments=len(self.running),
            running_rows=4,
            max_rows=64,
            cache_bytes_used=5,
            cache_bytes_limit=6,
            tokens_per_second=self.tokens_per_second,
            backlog_seconds=self.queue_tokens / self.tokens_per_second,
            heartbeat_seconds=0.0,
            draining=False,
            is_available=self.is_available,
        )

    def answer(self, request: SegmentRequest) -> tuple[Hypothesis, ...]:
        """The translation, and as many worse ones as were asked for, told apart by a number."""
        source, prefix = CharacterTokenizer().decode_target(request.source_ids), request.options.prefix_ids
        best = self.translate(source)
        texts = [best, *(f"{best}{rank}" for rank in range(1, request.options.num_hypotheses))]
        return tuple(
            Hypothesis(
                token_ids=(*prefix, *CharacterTokenizer().encode_source(text)[:-1]),
                token_log_probs=tuple([-0.5] * (len(prefix) + len(text))),
                score=-0.25 * (rank + 1),
                finish_reason="length" if self.finish_reason == "length" else "stop",
            )
            for rank, text in enumerate(texts)
        )


class FakeEvents:
    """The events of one segment."""

    def __init__(self, engine: FakeEngine, request: SegmentRequest) -> None:
        self._engine, self._request = engine, request
        self._waiting = self._script()
        self._sent = 0

    def __aiter__(self) -> "FakeEvents":
        return self

    async def __anext__(self) -> Event:
        for _ in range(self._engine.turns()):
            await asyncio.sleep(0)
        if self._sent and self._engine.gate is not None:
            await self._engine.gate.wait()
        if not self._waiting:
            raise StopAsyncIteration
        if self._request.segment_id in self._engine.cancelled:
            self._waiting = []
            return FailedEvent(SegmentCancelled())
        self._sent += 1
        event = self._waiting.pop(0)
        if isinstance(event, FinishedEvent | FailedEvent):
            self._engine.running.discard(self._request.segment_id)
        return event

    async def aclose(self) -> None:
        self._engine.cancel(self._request.segment_id)

    def _script(self) -> list[Event]:
        if self._engine.script is not None:
            return list(self._engine.script(self._request))
        hypotheses = self._engine.answer(self._request)
        step = self._engine.tokens_per_event
        ids = hypotheses[0].token_ids
        events: list[Event] = []
        if self._request.stream or self._engine.gate is not None:
            events += [TokensEvent(ids[start : start + step]) for start in range(0, len(ids), step)]
        if self._engine.fail is not None:
            return [*events[:1], FailedEvent(self._engine.fail)]
        timings = SegmentTimings(queue_seconds=0.001, first_token_seconds=0.002, total_seconds=0.003)
        return [*events, FinishedEvent(hypotheses, timings)]


class FakeDetector:
    """Says `en` for anything with a letter, unless the text begins with a code and a colon (`de: …`)."""

    def detect(self, text: str) -> list[DetectedLanguage]:
        if not any(map(str.isalpha, text)):
            return []
        code, colon, _ = text.partition(":")
        best = code if colon and len(code) == 2 else "en"
        other = "de" if best == "en" else "en"
        return [DetectedLanguage(best, 0.95), DetectedLanguage(other, 0.05)]


def served_model(
    engine: FakeEngine,
    name: str = "en-de",
    directions: Sequence[tuple[str, str]] = (("en", "de"),),
    *,
    max_source_length: int = 120,
    defaults: DecodingOptions | None = None,
) -> ServedModel:
    """A model over a fake engine and the character tokenizer."""
    return ServedModel(
        name=name,
        version="1.0",
        directions=directions,
        dtype="float32",
        device="cpu",
        created=1_700_000_000,
        load_seconds=0.5,
        max_source_length=max_source_length,
        defaults=defaults or DecodingOptions(),
        tokenizer=character_tokenizer(),
        engine=engine,
    )


def fake_translator(
    *models: ServedModel,
    metrics: Metrics | None = None,
    max_text_characters: int = 20_000,
    max_texts: int = 50,
) -> Translator:
    """A translator over the given models; one identity model en-de by default."""
    registry = ModelRegistry(models or [served_model(FakeEngine())])
    detector = FakeDetector()
    metrics = metrics or Metrics()
    return Translator(
        registry,
        Planner(registry, detector, Limits(max_text_characters, max_texts)),
        detector,
        metrics,
        default_timeout_seconds=30.0,
        max_timeout_seconds=60.0,
    )
