"""Segments as the cache should know them, and their logits recomputed from the start without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from hypothesis import strategies as st
from torch import Tensor

from model.kv_cache import DecoderCache
from model.masks import pad_batch
from model.transformer import Transformer
from tests.builders import TINY_VOCABULARY, tiny_model

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
