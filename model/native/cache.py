"""The native network's running state, with the face of `DecoderCache`.

Knows: rows and segments by number, the library's handle. Must not know: where keys and values lie.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from ctypes import c_void_p
from itertools import compress
from typing import cast

import torch
from torch import Tensor

from model.native.binding import Library
from model.network import Cache


class NativeCache:
    """R rows of G segments; rows of a segment stand together and have the same length.

    Rows and segments are numbered in the order in which they joined. Keys and values never move: `reorder`
    copies tables of block numbers, `join` and `keep` lists of segments.
    """

    def __init__(
        self,
        library: Library,
        handle: c_void_p,
        rows_per_segment: Sequence[int],
        source_lengths: Sequence[int],
    ) -> None:
        self._library, self.handle = library, handle
        self.rows_per_segment, self.source_lengths = list(rows_per_segment), list(source_lengths)
        freed = weakref.finalize(self, library.free, "verto_cache_free", handle, os.getpid())
        freed.atexit = False  # as for the network
        self._index_rows()

    def _index_rows(self) -> None:
        self.num_rows = sum(self.rows_per_segment)
        self._segment_of_row: Tensor | None = None

    @property
    def num_segments(self) -> int:
        return len(self.rows_per_segment)

    @property
    def num_bytes(self) -> int:
        """Bytes of keys and values that rows and sources have taken, whole blocks of 16 positions."""
        return self._library.number("verto_cache_bytes", self.handle)

    @property
    def segment_of_row(self) -> Tensor:
        """[R]"""
        if self._segment_of_row is None:
            counts = torch.tensor(self.rows_per_segment, dtype=torch.long)
            self._segment_of_row = torch.repeat_interleave(torch.arange(self.num_segments), counts)
        return self._segment_of_row

    def reorder(self, parents: Tensor) -> None:
        """Row r continues what row `parents[r]` held. `parents` [R] must stay within each row's own segment.

        Raises `ValueError` when it does not.
        """
        if parents.shape != (self.num_rows,) or parents.dtype != torch.long:
            raise ValueError(f"reorder needs a row number for each of {self.num_rows} rows")
        numbers = parents.contiguous()  # has a name, since a copy must live as long as the call
        self._library.call("verto_cache_reorder", self.handle, numbers.data_ptr())

    def keep(self, segments: Tensor) -> None:
        """Drop every segment, with its rows, where `segments` [G] (boolean) is False.

        Raises `ValueError` when `segments` is of another shape or type; then nothing has changed.
        """
        if segments.shape != (self.num_segments,) or segments.dtype != torch.bool:
            raise ValueError(f"keep needs one boolean for each of {self.num_segments} segments")
        stays = segments.contiguous()  # as in `reorder`
        self._library.call("verto_cache_keep", self.handle, stays.data_ptr())
        kept = segments.tolist()
        self.rows_per_segment = list(compress(self.rows_per_segment, kept))
        self.source_lengths = list(compress(self.source_lengths, kept))
        self._index_rows()

    def join(self, other: Cache) -> None:
        """Append another cache's segments and rows after these. `other` must not be used afterwards.

        Raises `ValueError` when it belongs to another network.
        """
        own = cast(NativeCache, other)  # the same network opened both
        self._library.call("verto_cache_join", self.handle, own.handle)
        self.rows_per_segment += own.rows_per_segment
        self.source_lengths += own.source_lengths
        own.rows_per_segment, own.source_lengths = [], []
        own._index_rows()
        self._index_rows()
