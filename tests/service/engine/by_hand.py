"""An engine that a test turns by hand: its clock, an observer that remembers, the answers to expect."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from model import reference
from model.decoding import DecodingOptions, FinishReason, Hypothesis
from model.network import EagerNetwork
from model.transformer import Transformer
from service.engine.config import EngineConfig
from service.engine.engine import Engine
from service.engine.errors import (
    EngineError,
)
from service.engine.observer import Phase
from service.engine.request import Emission, FailedEvent, FinishedEvent, SegmentTimings, Stage
from service.engine.runner import Runner
from tests.builders import TINY_VOCABULARY, tiny_model

MODEL = tiny_model(1).double()  # float64: no batch shape tips a near-tie, so equality is exact
LIMIT = 14
KINDS = [
    DecodingOptions(strategy="greedy", max_length=LIMIT),
    DecodingOptions(beam_size=2, num_hypotheses=2, length_penalty=0.4, max_length=LIMIT),
    DecodingOptions(beam_size=4, max_length=LIMIT),
]


class Clock:
    """Time that passes when the test says so."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Ear:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.facts: list[tuple[Any, ...]] = []

    def step(self, phase: Phase, duration_seconds: float, rows: int, padding_tokens: int) -> None:
        self.facts.append((phase, rows, padding_tokens))

    def finished(
        self, finish_reason: FinishReason, source_tokens: int, target_tokens: int, timings: SegmentTimings
    ) -> None:
        self.facts.append(("finished", finish_reason, source_tokens, target_tokens, timings))

    def rejected(self, reason: str) -> None:
        self.facts.append(("rejected", reason))

    def cancelled(self, stage: Stage) -> None:
        self.facts.append(("cancelled", stage))

    def failed(self, reason: str) -> None:
        self.facts.append(("failed", reason))

    def restarted(self) -> None:
        self.facts.append(("restarted",))


def engine(
    model: Transformer = MODEL, ear: Ear | None = None, clock: Clock | None = None, **limits: Any
) -> Engine:
    config = EngineConfig(**{"max_rows": 8, **limits})
    return Engine(Runner(EagerNetwork(model)), config, ear, clock or Clock())


def source(rng: random.Random, longest: int = 10) -> tuple[int, ...]:
    return (*rng.choices(range(4, TINY_VOCABULARY), k=rng.randint(1, longest)), 3)


def expected(source_ids: Sequence[int], options: DecodingOptions) -> list[tuple[int, ...]]:
    if options.strategy == "greedy":
        return [tuple(reference.greedy(MODEL, source_ids, LIMIT))]
    return [h.token_ids for h in reference.beam(MODEL, source_ids, options, LIMIT)]


def error_of(emission: Emission) -> EngineError:
    assert isinstance(emission.event, FailedEvent)
    return emission.event.error


def answer_of(emissions: Sequence[Emission], segment_id: str) -> tuple[Hypothesis, ...]:
    (event,) = [e.event for e in emissions if e.segment.request.segment_id == segment_id and e.is_last]
    assert isinstance(event, FinishedEvent)
    return event.hypotheses


def check_budget(one: Engine) -> None:
    seen, runner = one.snapshot(), one._runner
    assert runner.num_rows == seen.running_rows <= seen.max_rows
    assert len(runner.keys) == seen.running_segments
    assert runner.bytes_held <= seen.cache_bytes_used <= seen.cache_bytes_limit
    if one.is_idle:
        assert (runner.bytes_held, seen.cache_bytes_used, seen.running_rows, seen.queue_tokens) == (
            0,
            0,
            0,
            0,
        )
