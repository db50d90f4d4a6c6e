"""Which of many 64-bit keys came before, in bounded memory.

Knows: keys, sorted runs of them in memory and in files. Must not know: what a key stands for.

A log-structured merge (O'Neil et al. 1996): new keys make up a sorted run; whenever a run is less than twice
as long as the one after it, the two become one. So there are few runs, of 8 bytes a key, and a long one lies
in a file that is mapped, not read.

    |1 5 8 9 12 20 33 41|  |3 7 18|  |4|      is 7 there? look into each run
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]

# A longer run goes to a file: 8 MB.
MAX_KEYS_IN_MEMORY = 1 << 20
_MERGED_KEYS = 1 << 18  # pass through memory at a time


class SeenKeys:
    """A set that only grows. `folder` takes the long runs; what lies in it is of no use afterwards."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._numbers = folder, count()
        self._runs: list[_Run] = []  # the longest first

    def __len__(self) -> int:
        return sum(len(run.keys) for run in self._runs)

    def add(self, keys: Keys) -> NDArray[np.bool_]:
        """Remember these keys; which of them are new, the first of equal ones among them."""
        distinct, first = np.unique(keys, return_index=True)
        is_new = np.ones(len(distinct), np.bool_)
        for run in self._runs:
            is_new &= ~_contained(distinct, run.keys)
        self._push(distinct[is_new])
        result = np.zeros(len(keys), np.bool_)
        result[first[is_new]] = True
        return result

    def _push(self, keys: Keys) -> None:
        if len(keys):
            self._runs.append(_Run(keys, None))
        while len(self._runs) > 1 and len(self._runs[-2].keys) < 2 * len(self._runs[-1].keys):
            shorter, longer = self._runs.pop(), self._runs.pop()
            self._runs.append(self._merged(longer, shorter))
            for run in (longer, shorter):
                run.delete()

    def _merged(self, longer: _Run, shorter: _Run) -> _Run:
        if len(longer.keys) + len(shorter.keys) <= MAX_KEYS_IN_MEMORY:
            return _Run(np.sort(np.concatenate((longer.keys, shorter.keys))), None)
        path = self._folder / f"keys-{next(self._numbers)}"
        with path.open("wb") as file:
            for part in _merged_parts(longer.keys, shorter.keys):
                file.write(part.tobytes())
        return _Run(np.memmap(path, np.uint64, mode="r").view(np.ndarray), path)


class _Run:
    """Sorted keys, each once, and the file that they are mapped from."""

    def __init__(self, keys: Keys, path: Path | None) -> None:
        self.keys, self._path = keys, path

    def delete(self) -> None:
        if self._path is not None:
            self._path.unlink()


def _contained(keys: Keys, run: Keys) -> NDArray[np.bool_]:
    places = np.searchsorted(run, keys)
    found: NDArray[np.bool_] = run[np.minimum(places, len(run) - 1)] == keys
    return found


def _merged_parts(longer: Keys, shorter: Keys) -> Iterator[Keys]:
    """Both in one order, cut where the longer one has gone on by so many keys."""
    done = 0
    for start in range(0, len(longer), _MERGED_KEYS):
        part = longer[start : start + _MERGED_KEYS]
        is_last = start + len(part) == len(longer)
        until = len(shorter) if is_last else int(np.searchsorted(shorter, part[-1]))
        yield np.sort(np.concatenate((part, shorter[done:until])))
        done = until
