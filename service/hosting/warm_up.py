"""A few translations by a model before anybody else may use it: the first one of a process is the slowest.

They go the way of every request (planner, tokenizer, engine), with the model's own search and in greedy
search, alone and side by side, short and long, so that weights are read in, kernels chosen and steps
captured. What they say does not matter; that they end does. Knows translators and jobs; must not know how a
model was loaded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from model.decoding.strategy import Hypothesis
from service.engine.request import SegmentTimings
from service.jobs import TranslationJob
from service.languages import DetectedLanguage
from service.planning import Limits, Planner
from service.registry import ModelRegistry, ServedModel
from service.translator import Translator

SHORT = "Good morning!"
LONG = (
    "The train to the coast was late again this morning, so we walked along the river until the rain began, "
    "and then we waited in a small station whose clock had stopped years ago."
)
TEXTS = (SHORT, LONG, "How much are 12 apples?", "She said: “Nobody knows.”")
MAX_LENGTH = 40  # tokens; a model of other languages may not find an end by itself
TIMEOUT_SECONDS = 60.0
GREEDY = {"strategy": "greedy"}


async def warm_up(model: ServedModel) -> None:
    """Raises ServiceError when a translation fails, or takes longer than `TIMEOUT_SECONDS`."""
    translator = _private(model)
    for texts, search in (([SHORT], {}), (TEXTS, {}), ([SHORT], GREEDY), (TEXTS, GREEDY)):
        await _translate(translator, model, texts, search)
    await asyncio.gather(*(_translate(translator, model, [text], {}) for text in TEXTS))


async def _translate(
    translator: Translator, model: ServedModel, texts: Sequence[str], search: dict[str, Any]
) -> None:
    """`search`: options besides the model's own."""
    source, target = next(iter(model.languages))
    options = {"max_length": max(MAX_LENGTH, model.defaults.min_length + 1), **search}
    with await translator.start(
        TranslationJob(texts=tuple(texts), source=source, target=target, options=options)
    ) as running:
        await running.result()


def _private(model: ServedModel) -> Translator:
    """Nobody else's, and counted nowhere."""
    registry, nobody = ModelRegistry([model]), _Nobody()
    planner = Planner(registry, nobody, Limits(sum(map(len, TEXTS)), len(TEXTS)))
    return Translator(
        registry,
        planner,
        nobody,
        nobody,
        default_timeout_seconds=TIMEOUT_SECONDS,
        max_timeout_seconds=TIMEOUT_SECONDS,
    )


class _Nobody:
    """Hears nothing, and is asked nothing: the source language is given."""

    def detect(self, text: str) -> list[DetectedLanguage]:
        return []

    def accepted(self, pair: str, source_tokens: int, characters: int) -> None: ...

    def segment_finished(self, pair: str, hypothesis: Hypothesis, timings: SegmentTimings) -> None: ...
