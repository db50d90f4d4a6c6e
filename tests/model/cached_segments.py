"""Segments as the cache should know them, and their logits recomputed from the start without it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from hypothesis import strategies as st
from torch import Tensor

from model.kv_cache import DecoderCache
from model.masks import pad_batch
from model.transformer import Transformer
from tests.builders import TINY_VOCABULARY, tiny_model
from tests.model.closeness import distance

START = 2
TOKENS = st.integers(4, TINY_VOCABULARY - 1)
CAPACITY = 8
LONG_MODEL = tiny_model(d_model=16, num_decoder_layers=1, num_encoder_layers=1).double().requires_grad_(False)
EXACT_MODEL = (
    tiny_model(d_model=16, num_decoder_layers=2, num_encoder_layers=1).double().requires_grad_(False)
)


@dataclass
class Segment:
    """What the cache should know of one segment: its source, and every row's tokens from the start."""

    source_ids: list[int]
    capacity: int
    rows: list[list[int]] = field(default_factory=list)

    @property
    def filled(self) -> int:
        return len(self.rows[0])


def start(model: Transformer, segments: Sequence[Segment]) -> DecoderCache:
    ids, mask = pad_batch([segment.source_ids for segment in segments], 0)
    rows = [len(segment.rows) for segment in segments]
    return model.start_cache(model.encode(ids, mask), mask, rows, [segment.capacity for segment in segments])


def recomputed(model: Transformer, segments: Sequence[Segment]) -> Tensor:
    """The logits [R, V] after each row's tokens: one segment at a time, from the start, without a cache."""
    logits = []
    for segment in segments:
        ids, mask = pad_batch([segment.source_ids] * len(segment.rows), 0)
        logits.append(model(ids, mask, torch.tensor(segment.rows))[:, -1])
    return torch.cat(logits)


def sentences(seed: int, lengths: Sequence[int]) -> list[list[int]]:
    rng = random.Random(seed)
    return [[*rng.choices(range(4, TINY_VOCABULARY), k=length - 1), 3] for length in lengths]


def segments(seed: int, *shapes: tuple[int, int, int]) -> list[Segment]:
    """Each (source length, rows, capacity)."""
    sources = sentences(seed, [length for length, _, _ in shapes])
    return [
        Segment(ids, capacity, [[] for _ in range(rows)])
        for ids, (_, rows, capacity) in zip(sources, shapes, strict=True)
    ]


def advance(
    cache: DecoderCache, live: Sequence[Segment], model: Transformer = EXACT_MODEL, seed: int = 0
) -> Tensor:
    """One step with tokens of its own for every row -> logits [R, V]."""
    rows, rng = [row for segment in live for row in segment.rows], random.Random(seed)
    for row in rows:
        row.append(rng.randrange(4, TINY_VOCABULARY) if row else START)
    return model.decode_step(torch.tensor([row[-1] for row in rows]), cache)


def check_step(cache: DecoderCache, live: Sequence[Segment], seed: int = 0) -> None:
    assert distance(advance(cache, live, seed=seed), recomputed(EXACT_MODEL, live)) < 1e-10
