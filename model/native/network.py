"""The network in native kernels: one call per step, from token ids to the scores of all tokens.

Knows: the seam `model.network.Network`, buffers for a step's answers. Must not know: strategies, how the
library was built, how kernels compute.
Shapes: R rows, G segments, S source, T target, V vocabulary, L decoder layers, H heads.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from ctypes import byref, c_int32, c_int64, c_void_p
from itertools import chain
from typing import Self, cast

import torch
from torch import Tensor

from model.config import ModelConfig
from model.native.binding import NUMBERS, PANEL, Library, StepResult
from model.native.cache import NativeCache
from model.native.packing import new_network
from model.native.scores import NativeScores
from model.network import Cache
from model.transformer import Transformer

BLOCK = 16  # positions that a row's memory grows by


class NativeNetwork:
    """Packed weights in the library's memory. Not thread-safe, not across a fork (it may have threads).

    A row's answers have the same bits whatever rows stand beside it and whatever the number of threads.
    `bytes_per_position` counts heads as they lie in memory, filled up to whole vectors.
    """

    path = "native"
    device = torch.device("cpu")

    def __init__(self, library: Library, handle: c_void_p, config: ModelConfig, precision: str) -> None:
        """Takes over `handle`; see `from_model`."""
        self.config, self.precision = config, precision
        self._library, self._handle = library, handle
        freed = weakref.finalize(self, library.free, "verto_network_free", handle, os.getpid())
        freed.atexit = False  # a thread that nobody waits for may be in it when the process ends
        self._buffers = _Buffers(library, config.target_vocab_size)

    @classmethod
    def from_model(cls, model: Transformer, precision: str, num_threads: int, library: Library) -> Self:
        """Copies and packs the weights of `model` (float32 or bfloat16), which is not needed afterwards.

        `precision` of the matrix products is "float32", "bfloat16" (weights only) or "int8" (as
        `model.int8.Int8Linear`). Raises `ValueError` for another one or fewer than one thread, `NativeError`
        when memory is short.
        """
        if precision not in NUMBERS:
            raise ValueError(f"precision must be one of {', '.join(NUMBERS)}, got {precision!r}")
        if num_threads < 1:
            raise ValueError(f"num_threads must be at least 1, got {num_threads}")
        return cls(library, new_network(library, model, precision, num_threads), model.config, precision)

    @property
    def bytes_per_position(self) -> int:
        """Bytes of one position's keys and values in all decoder layers."""
        return self._library.number("verto_block_bytes", self._handle) // BLOCK

    @property
    def num_bytes(self) -> int:
        """Bytes of the packed weights."""
        return self._library.number("verto_network_bytes", self._handle)

    def open(
        self, source_ids: Sequence[Sequence[int]], rows_per_segment: Sequence[int], capacity: Sequence[int]
    ) -> NativeCache:
        """See `Network.open`. Raises `ValueError`, also for a token id that the model does not know."""
        lengths = [len(source) for source in source_ids]
        self._check(lengths, rows_per_segment, capacity)
        ids, handle = list(chain.from_iterable(source_ids)), c_void_p()
        numbers = [(c_int32 * len(lengths))(*each) for each in (lengths, rows_per_segment, capacity)]
        given = ((c_int64 * len(ids))(*ids), *numbers, len(lengths))
        self._library.call("verto_open", self._handle, *given, byref(handle))
        return NativeCache(self._library, handle, rows_per_segment, lengths)

    def _check(self, lengths: Sequence[int], rows: Sequence[int], capacity: Sequence[int]) -> None:
        if not len(lengths) == len(rows) == len(capacity) > 0 or min(rows) < 1:
            raise ValueError(f"{len(lengths)} segments need a row count and a capacity of at least 1 each")
        bounds = ((lengths, "max_source_length"), (capacity, "max_target_length"))
        for values, field in bounds:
            limit = getattr(self.config, field)
            if min(values) < 1 or max(values) > limit:
                raise ValueError(
                    f"{min(values)} to {max(values)} positions are not in 1..{field}, which is {limit}"
                )

    def step(self, token_ids: Tensor, cache: Cache, *, watch: bool = False) -> NativeScores:
        """See `Network.step`. The scores lie in memory that the next step writes again."""
        own = cast(NativeCache, cache)  # `open` made it
        watched = torch.empty(own.num_rows, max(own.source_lengths, default=0)) if watch else None
        return self._step(token_ids, own, watched, None)

    def _step(
        self, token_ids: Tensor, cache: NativeCache, watched: Tensor | None, shares: Tensor | None
    ) -> NativeScores:
        """`watched` [R, S] and `shares` [L, H, R, S] are written, where they are given."""
        if not 0 < token_ids.shape[0] == cache.num_rows:
            raise ValueError(f"{len(token_ids)} tokens for {cache.num_rows} rows")
        ids = token_ids.to(dtype=torch.long).contiguous()
        result = self._buffers.for_rows(cache.num_rows)
        result.attention = None if watched is None else watched.data_ptr()
        result.shares = None if shares is None else shares.data_ptr()
        self._library.call("verto_step", self._handle, cache.handle, ids.data_ptr(), byref(result))
        return self._buffers.scores(cache.num_rows, watched)

    def cross_attention(self, source_ids: Sequence[int], target_ids: Sequence[int]) -> Tensor:
        """What a given target looks at [L, H, T, S]; see `model.alignment.cross_attention`.

        Step by step, which is what made the target. Raises `ValueError` as that does.
        """
        if not source_ids or not target_ids:
            raise ValueError(f"source and target need tokens, got {len(source_ids)} and {len(target_ids)}")
        if len(target_ids) > self.config.max_target_length:
            raise ValueError(f"{len(target_ids)} target tokens are more than {self.config.max_target_length}")
        cache = self.open([source_ids], [1], [len(target_ids)])
        shape = (self.config.num_decoder_layers, self.config.num_decoder_heads, 1, len(source_ids))
        steps = []
        for token_id in (self.config.decoder_start_id, *target_ids[:-1]):
            shares = torch.empty(shape)
            self._step(torch.tensor([token_id]), cache, None, shares)
            steps.append(shares)
        return torch.cat(steps, dim=2)


class _Buffers:
    """Where steps write their answers; grown to the most rows there have been."""

    def __init__(self, library: Library, vocabulary: int) -> None:
        self._library = library
        self._vocabulary, self._blocks = vocabulary, -(-vocabulary // PANEL)
        self._allocate(1)

    def _allocate(self, rows: int) -> None:
        self._rows = rows
        self._logits = torch.empty(rows, self._vocabulary)
        self._log_sums, self._block_max = torch.empty(rows), torch.empty(rows, self._blocks)
        self._result = StepResult(
            self._logits.data_ptr(), self._log_sums.data_ptr(), self._block_max.data_ptr(), None, None
        )
        self._written = (self._logits, self._log_sums, self._block_max)

    def for_rows(self, rows: int) -> StepResult:
        if rows > self._rows:
            self._allocate(max(rows, 2 * self._rows))
        return self._result

    def scores(self, rows: int, attention: Tensor | None) -> NativeScores:
        if self._written[0].shape[0] != rows:  # seldom, so that few steps have to make views
            self._written = (self._logits[:rows], self._log_sums[:rows], self._block_max[:rows])
        return NativeScores(self._library, *self._written, attention)
