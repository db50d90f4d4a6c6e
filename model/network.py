"""What decoding asks of a network, whatever it runs on: encode segments, one position for all rows, scores.

Knows: token ids, rows and segments, what a step answers. Must not know: strategies, requests, text.
`EagerNetwork` is the trained module itself, the truth that every faster network is held against.
Shapes: R rows, G segments, S source, T target, L decoder layers, H heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, Self, cast, runtime_checkable

import torch
from torch import Tensor

from model.alignment import cross_attention
from model.config import ModelConfig
from model.kv_cache import DecoderCache
from model.masks import pad_batch
from model.step_scores import DenseScores, StepScores
from model.transformer import Transformer, next_log_probs


class Cache(Protocol):
    """The running state of R rows of G segments, as the network that opened it keeps it.

    Rows and segments are numbered in the order in which they joined; rows of a segment stand together.
    """

    @property
    def num_rows(self) -> int: ...

    @property
    def num_segments(self) -> int: ...

    @property
    def num_bytes(self) -> int:
        """Bytes of keys and values held on the device; never more than is reserved."""

    @property
    def segment_of_row(self) -> Tensor:
        """[R]"""

    def reorder(self, parents: Tensor) -> None:
        """Row r continues what row `parents[r]` [R] held, a row of the same segment (else `ValueError`)."""

    def keep(self, segments: Tensor) -> None:
        """Drop every segment, with its rows, where `segments` [G] (boolean) is False."""

    def join(self, other: Self) -> None:
        """Append another cache's segments and rows after these. `other` must not be used afterwards."""


class Foreseen(NamedTuple):
    """A search that is plain (see `model.decoding.plain`) once it has taken `from_step` steps: `</s>` is
    barred before `least_tokens`, and nothing else is asked."""

    least_tokens: int
    from_step: int = 0


@runtime_checkable
class LooksAhead(Protocol):
    """A cache whose network computes steps before they are asked for, where it knows what they will be."""

    runs_on: bool
    """Whether the steps after those that are told are begun meanwhile: for nothing, if someone joins then."""

    @property
    def num_ahead(self) -> int:
        """Steps computed and not asked for yet. Who joins before they are has them computed anew."""

    def foresee(self, segments: Sequence[Foreseen | None]) -> None:
        """How each segment [G] will be searched; None: by rules that only its strategy knows."""


def looking_ahead(cache: Cache) -> LooksAhead | None:
    """The cache, where it is such a one. Asked at every join, where `isinstance` would take its time."""
    return cast(LooksAhead, cache) if hasattr(cache, "foresee") else None


class Network(Protocol):
    """An encoder-decoder that decodes step by step. Not thread-safe; callers hold `torch.inference_mode`.

    What it answers for a row does not depend on the rows beside it. `precision` is that of its matrix
    products ("float32", "bfloat16", "int8" ...), `path` how they are computed ("eager" ...).
    """

    @property
    def config(self) -> ModelConfig: ...

    @property
    def device(self) -> torch.device:
        """Where scores lie that rules look at. Tokens, parents and rows are on the host."""

    @property
    def precision(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def bytes_per_position(self) -> int:
        """Bytes of one position's keys and values, all decoder layers together."""

    def open(
        self, source_ids: Sequence[Sequence[int]], rows_per_segment: Sequence[int], capacity: Sequence[int]
    ) -> Cache:
        """Encode segments; their rows are empty. `capacity` is in target positions, for each segment.

        Raises `ValueError` for a source or a capacity that is empty or longer than the model's positions.
        """

    def step(self, token_ids: Tensor, cache: Cache, *, watch: bool = False) -> StepScores:
        """Extend every row by its token of `token_ids` [R]; what comes next. `watch`: with `attention`.

        Raises `CacheOverflow` when a segment's capacity is used up, `ValueError` for another number of tokens
        than rows.
        """

    def cross_attention(self, source_ids: Sequence[int], target_ids: Sequence[int]) -> Tensor:
        """What a given target looks at [L, H, T, S]; see `model.alignment.cross_attention`."""


class EagerNetwork:
    """The module, one operation after the other. `model` is in eval mode."""

    path = "eager"

    def __init__(self, model: Transformer, precision: str | None = None) -> None:
        """`precision` of the products, where the weights' type does not say it (see `model.int8`)."""
        self.model = model
        weight = model.output.weight  # looked at once: quantised weights are made anew whenever asked for
        self.device = weight.device
        self.precision = precision or str(weight.dtype).removeprefix("torch.")
        self._itemsize = weight.element_size()

    @property
    def config(self) -> ModelConfig:
        return self.model.config

    @property
    def bytes_per_position(self) -> int:
        """A key and a value of width D in every decoder layer."""
        return 2 * self.config.num_decoder_layers * self.config.d_model * self._itemsize

    def open(
        self, source_ids: Sequence[Sequence[int]], rows_per_segment: Sequence[int], capacity: Sequence[int]
    ) -> DecoderCache:
        ids, mask = pad_batch(source_ids, self.config.pad_id)
        ids, mask = ids.to(self.device), mask.to(self.device)
        return self.model.start_cache(self.model.encode(ids, mask), mask, rows_per_segment, capacity)

    def step(self, token_ids: Tensor, cache: Cache, *, watch: bool = False) -> DenseScores:
        own = cast(DecoderCache, cache)  # `open` made it
        token_ids = token_ids.to(self.device)
        if not watch:
            return DenseScores(next_log_probs(self.model.decode_step(token_ids, own)))
        logits, attention = self.model.decode_step_watched(token_ids, own)
        return DenseScores(next_log_probs(logits), attention)

    def cross_attention(self, source_ids: Sequence[int], target_ids: Sequence[int]) -> Tensor:
        return cross_attention(self.model, source_ids, target_ids)
