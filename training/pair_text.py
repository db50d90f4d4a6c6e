"""Sentence pairs as text in mapped files: written once, gone through in order or looked up.

Knows: UTF-8, one `Ragged` of bytes for each side. Must not know: where pairs come from, tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType

import numpy as np

from training.corpus import Pair
from training.ragged import Ragged, RaggedWriter

# So many pairs at a time are Python objects; everything else stays in files.
CHUNK_PAIRS = 8192
TEXT_DTYPE = np.uint8


def in_chunks(pairs: Iterable[Pair]) -> Iterator[list[Pair]]:
    """The same pairs, `CHUNK_PAIRS` at a time; the last chunk may be smaller."""
    remaining = iter(pairs)
    while chunk := list(islice(remaining, CHUNK_PAIRS)):
        yield chunk


@dataclass(frozen=True)
class PairText:
    """What `PairTextWriter` wrote."""

    source: Ragged
    target: Ragged

    @classmethod
    def mapped(cls, folder: Path, name: str) -> PairText:
        source, target = (Ragged.mapped(folder, f"{name}.{side}", TEXT_DTYPE) for side in Pair._fields)
        return cls(source, target)

    def __len__(self) -> int:
        return len(self.source)

    def __iter__(self) -> Iterator[Pair]:
        for chunk in self.chunks(0, len(self)):
            yield from chunk

    def chunks(self, start: int, stop: int) -> Iterator[list[Pair]]:
        """The pairs `start` to `stop`, in order."""
        for first in range(start, stop, CHUNK_PAIRS):
            last = min(first + CHUNK_PAIRS, stop)
            sides = (_texts(side, first, last) for side in (self.source, self.target))
            yield list(map(Pair, *sides))


def _texts(side: Ragged, first: int, last: int) -> list[str]:
    """Cut from one piece of the file, which is faster than to look up each."""
    begin, *ends = side.offsets[first : last + 1].tolist()
    content = side.values[begin : ends[-1]].tobytes()
    starts = (begin, *ends[:-1])
    return [content[a - begin : b - begin].decode() for a, b in zip(starts, ends, strict=True)]


class PairTextWriter:
    """Appends pairs to the files `name`.source.* and `name`.target.*. Use as a context manager."""

    def __init__(self, folder: Path, name: str) -> None:
        self._stack = ExitStack()
        self._source, self._target = (
            self._stack.enter_context(RaggedWriter(folder, f"{name}.{side}", TEXT_DTYPE))
            for side in Pair._fields
        )

    def __enter__(self) -> PairTextWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def append(self, pairs: Sequence[Pair]) -> None:
        self._source.append([pair.source.encode() for pair in pairs])
        self._target.append([pair.target.encode() for pair in pairs])
