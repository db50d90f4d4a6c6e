"""Who translates: Verto as serving calls it, CTranslate2, and the `generate` of transformers.

Knows: how each is asked for a batch. Must not know: clocks, cells, reports.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import ctranslate2  # type: ignore[import-untyped]
import torch

from loadtests.bench.cells import BEAM_SIZE
from loadtests.bench.shapes import Shape
from loadtests.peers.generate import marian_model
from model.decoding import DecodingOptions
from model.decoding.search import decode_batch
from model.masks import pad_batch
from model.network import Network
from service.settings import Settings

Tokens = tuple[int, ...]
MAX_ROWS: int = Settings.model_fields["max_rows"].default  # what a server decodes in one step


@dataclass(frozen=True, slots=True)
class Ask:
    """How a batch is decoded; `length`: exactly so many steps, None: as many as the network likes.

    No hypothesis may end before the last of these steps, and there it may: its work is the same either way.
    """

    strategy: str
    length: int | None


class Side(Protocol):
    """One contestant; its weights are in memory, in one precision."""

    name: str

    def translate(self, sources: Sequence[Tokens], ask: Ask) -> list[Tokens]:
        """One batch: the best hypothesis of each source, without `</s>`."""
        ...


class Verto:
    """Through `decode_batch`, with the number of rows that a server has by default."""

    name = "verto"

    def __init__(self, network: Network, defaults: DecodingOptions) -> None:
        self._network, self._defaults = network, defaults

    def translate(self, sources: Sequence[Tokens], ask: Ask) -> list[Tokens]:
        answers = decode_batch(self._network, sources, options_of(ask, self._defaults), max_rows=MAX_ROWS)
        return [hypotheses[0].token_ids for hypotheses in answers]


def options_of(ask: Ask, defaults: DecodingOptions) -> DecodingOptions:
    named: dict[str, Any] = {"strategy": ask.strategy}
    if ask.strategy == "beam":
        named["beam_size"] = BEAM_SIZE
    if ask.length is not None:
        named |= {"min_length": ask.length - 1, "max_length": ask.length}
    return DecodingOptions.with_defaults(named, defaults)


class CTranslate2:
    """Its own batch, its own defaults; the length penalty nearest to ours divides by the length."""

    name = "ctranslate2"

    def __init__(self, shape: Shape, folder: Path, precision: str, threads: int) -> None:
        self._names = shape.tokens
        self._limit = shape.model.config.max_target_length
        self._translator = ctranslate2.Translator(
            str(folder), device="cpu", compute_type=precision, inter_threads=1, intra_threads=threads
        )
        self._ids = {name: number for number, name in enumerate(shape.tokens)}

    def translate(self, sources: Sequence[Tokens], ask: Ask) -> list[Tokens]:
        named = [[self._names[number] for number in source] for source in sources]
        answers = self._translator.translate_batch(
            named,
            beam_size=BEAM_SIZE if ask.strategy == "beam" else 1,
            min_decoding_length=1 if ask.length is None else ask.length - 1,
            max_decoding_length=ask.length or self._limit,
        )
        return [tuple(self._ids[name] for name in answer.hypotheses[0]) for answer in answers]


class Generate:
    """What most Python servers call: `transformers`, float32, its own padding and cache."""

    name = "generate"

    def __init__(self, shape: Shape) -> None:
        self._model = marian_model(shape.model)
        self._pad_id = shape.model.config.pad_id
        self._limit = shape.model.config.max_target_length

    def translate(self, sources: Sequence[Tokens], ask: Ask) -> list[Tokens]:
        ids, mask = pad_batch(sources, self._pad_id)
        with torch.inference_mode():
            answers = self._model.generate(
                input_ids=ids,
                attention_mask=mask.long(),
                num_beams=BEAM_SIZE if ask.strategy == "beam" else 1,
                # Of these methods, the start token counts too.
                min_length=0 if ask.length is None else ask.length,
                max_length=(ask.length or self._limit) + 1,
            )
        return [self._without_ends(answer) for answer in answers[:, 1:].tolist()]

    def _without_ends(self, answer: list[int]) -> Tokens:
        ends = {self._pad_id, self._model.config.eos_token_id}
        return tuple(token_id for token_id in answer if token_id not in ends)
