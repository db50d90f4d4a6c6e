"""Many lists of numbers in two flat arrays, in memory or mapped from files, and the files' writer.

Knows: values, where each list begins, how both lie in files. Must not know: what the numbers mean.

    values   7 3 | 9 | 4 4 8 |         offsets   0 2 3 6

A mapped file costs no memory of the process: the system reads its pages when they are looked at, lets go of
them when memory is short, and shares them among the processes that train together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import DTypeLike, NDArray

OFFSETS_DTYPE = np.dtype("<i8")
MAX_UINT16_VOCABULARY = 2**16
# So many lists at a time pass through memory where a whole file is gone through.
SLICE_LISTS = 1 << 16


@dataclass(frozen=True)
class Ragged:
    """Many lists of numbers: `values`, and `offsets` (one more than lists)."""

    values: NDArray[Any]
    offsets: NDArray[np.int64]

    @classmethod
    def from_lists(cls, lists: Sequence[Sequence[int]], dtype: DTypeLike = np.int32) -> Ragged:
        lengths = np.fromiter((len(one) for one in lists), dtype=np.int64, count=len(lists))
        values = np.fromiter(chain.from_iterable(lists), dtype=dtype, count=int(lengths.sum()))
        return cls(values, np.concatenate(([0], np.cumsum(lengths))))

    @classmethod
    def mapped(cls, folder: Path, name: str, dtype: DTypeLike) -> Ragged:
        """What `RaggedWriter` wrote, mapped from its files. Raises `OSError` when they are not there."""
        return cls(
            _mapped(values_path(folder, name), dtype), _mapped(offsets_path(folder, name), OFFSETS_DTYPE)
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> NDArray[Any]:
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    def lengths_of(self, indices: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """The lengths of the chosen lists."""
        lengths: NDArray[np.int64] = self.offsets[indices + 1] - self.offsets[indices]
        return lengths

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Of every list; 8 bytes each in memory."""
        return np.diff(self.offsets)

    def padded(
        self, indices: NDArray[np.integer[Any]], pad: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The chosen lists as rows of one array [B, longest], filled up with `pad`, and their lengths [B]."""
        starts, lengths = self.offsets[indices], self.lengths_of(indices)
        columns = np.arange(lengths.max(initial=0))
        is_value = columns < lengths[:, None]
        rows = np.full(is_value.shape, pad, dtype=np.int64)
        rows[is_value] = self.values[(starts[:, None] + columns)[is_value]]
        return rows, lengths


def _mapped(path: Path, dtype: DTypeLike) -> NDArray[Any]:
    """A plain view, since numpy's own class for mapped files is slow to index."""
    if path.stat().st_size == 0:  # which cannot be mapped
        return np.empty(0, dtype)
    return np.memmap(path, dtype, mode="r").view(np.ndarray)


def values_path(folder: Path, name: str) -> Path:
    return folder / f"{name}.values"


def offsets_path(folder: Path, name: str) -> Path:
    return folder / f"{name}.offsets"


def smallest_dtype(vocab_size: int) -> np.dtype[Any]:
    """Of token ids on disk: two bytes where the vocabulary allows."""
    return np.dtype("<u2" if vocab_size <= MAX_UINT16_VOCABULARY else "<i4")


class RaggedWriter:
    """Appends lists to two files, `name`.values and `name`.offsets. Use as a context manager."""

    def __init__(self, folder: Path, name: str, dtype: DTypeLike) -> None:
        self._stack = ExitStack()
        self._values = self._open(values_path(folder, name))
        self._offsets = self._open(offsets_path(folder, name))
        self._dtype = np.dtype(dtype)
        self.num_values, self._num_lists = 0, 0
        self._offsets.write(np.zeros(1, OFFSETS_DTYPE).tobytes())

    def _open(self, path: Path) -> BinaryIO:
        return self._stack.enter_context(path.open("wb"))

    def __enter__(self) -> RaggedWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def __len__(self) -> int:
        return self._num_lists

    def append(self, lists: Sequence[Sequence[int]]) -> None:
        """Lists of numbers; `bytes` are numbers too."""
        ends = self.num_values + np.cumsum([len(one) for one in lists], dtype=np.int64)
        if lists and isinstance(lists[0], bytes):
            content = b"".join(lists)  # type: ignore[arg-type]  # all are, where one is
        else:
            content = np.fromiter(chain.from_iterable(lists), self._dtype).tobytes()
        self._values.write(content)
        self._offsets.write(ends.astype(OFFSETS_DTYPE).tobytes())
        self.num_values = int(ends[-1]) if len(ends) else self.num_values
        self._num_lists += len(lists)


def slices(count: int) -> Iterator[slice]:
    """The whole of `count` lists in order, `SLICE_LISTS` at a time."""
    for start in range(0, count, SLICE_LISTS):
        yield slice(start, min(start + SLICE_LISTS, count))
