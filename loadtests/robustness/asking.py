"""A bundle behind the service's own translator, in this process: texts get what requests would get.

Knows: how a translator is asked. Must not know: what is expected of its answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from service.jobs import TranslationJob
from service.loading import load_translator
from service.metrics import Metrics
from service.settings import Settings
from service.translator import Translator

AT_A_TIME = 50  # texts of one request


class Asking:
    """One direction of a bundle."""

    def __init__(self, translator: Translator, source: str, target: str) -> None:
        self._translator, self.source, self.target = translator, source, target

    def translations(self, texts: Sequence[str], done: Callable[..., None] = lambda count: None) -> list[str]:
        """In order, by the bundle's own defaults of decoding; `done` is told of each further so many."""

        async def every() -> list[str]:
            found: list[str] = []
            for start in range(0, len(texts), AT_A_TIME):
                part = tuple(texts[start : start + AT_A_TIME])
                found += await self._some(part)
                done(len(part))
            return found

        return asyncio.run(every())

    async def _some(self, texts: tuple[str, ...]) -> list[str]:
        job = TranslationJob(texts=texts, source=self.source, target=self.target, options={})
        with await self._translator.start(job) as running:
            result = await running.result()
        return [text.candidates[0].text for text in result.texts]


@contextmanager
def asking(bundle: Path, threads: int) -> Iterator[Asking]:
    """The bundle's first direction, served until the block is left. Raises BundleError."""
    settings = Settings(models_dir=bundle, num_threads=threads, device="cpu")
    translator = load_translator(settings, Metrics())
    try:
        (model,) = translator.registry.models
        source, target = next(iter(model.directions))
        yield Asking(translator, source, target)
    finally:
        translator.close()
