"""A bundle's texts through CTranslate2: pieces, a batch, text. What both servers around it share.

Knows: bundles, tokenizers, `ctranslate2.Translator`. Must not know: HTTP, who waits for what.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ctranslate2  # type: ignore[import-untyped]

from loadtests.peers.ctranslate2_model import converted, token_names
from model.checkpoint import load_bundle


@dataclass(frozen=True, slots=True)
class Engine:
    """What one can set of the peer: threads of a batch, batches at once, precision, how batches divide."""

    intra_threads: int = 1
    inter_threads: int = 1
    precision: str = "int8"
    max_batch_size: int = 64
    batch_type: str = "examples"  # or "tokens", which `max_batch_size` counts then
    beam_size: int = 4


@dataclass(frozen=True, slots=True)
class Translated:
    text: str
    target_tokens: int


class Texts:
    """Translates texts; calls may come from several threads."""

    def __init__(self, folder: Path, engine: Engine) -> None:
        bundle = load_bundle(folder)
        self._tokenizer, self._engine = bundle.tokenizer, engine
        self._names = token_names(bundle.model.config)
        self._ids = {name: number for number, name in enumerate(self._names)}
        self._limit = bundle.model.config.max_target_length
        with converted(bundle.model, self._names) as model:
            self._translator = ctranslate2.Translator(
                str(model),
                device="cpu",
                compute_type=engine.precision,
                inter_threads=engine.inter_threads,
                intra_threads=engine.intra_threads,
            )

    def translate(self, texts: Sequence[str]) -> Iterator[Translated]:
        """One answer after the other, in order, each as soon as it is there."""
        sources = [[self._names[number] for number in ids] for ids in self._tokenizer.encode_sources(texts)]
        pending: list[Any] = self._translator.translate_batch(
            sources,
            asynchronous=True,
            max_batch_size=self._engine.max_batch_size,
            batch_type=self._engine.batch_type,
            beam_size=self._engine.beam_size,
            max_decoding_length=self._limit,
        )
        return (self._translated(one.result().hypotheses[0]) for one in pending)

    def _translated(self, names: Sequence[str]) -> Translated:
        ids = [self._ids[name] for name in names]
        return Translated(self._tokenizer.decode_target(ids), len(ids))
