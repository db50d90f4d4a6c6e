"""Which places of the device's memory are whose: rows of targets, sources of segments.

Knows: numbers of places. Must not know: tensors, what lies in a place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from model.kv_cache import CacheOverflow


class Places:
    """So many places of one kind, `what`; behind the last stands one that is nobody's, for idle rows."""

    def __init__(self, count: int, what: str) -> None:
        self.count, self.nobody, self._what = count, count, what
        self._free = list(range(count - 1, -1, -1))

    @property
    def num_free(self) -> int:
        return len(self._free)

    def take(self, count: int) -> list[int]:
        """Raises `CacheOverflow` when so many are not free."""
        if count > len(self._free):
            raise CacheOverflow(f"{count} {self._what} asked for, {len(self._free)} of {self.count} are free")
        return [self._free.pop() for _ in range(count)]

    def give_back(self, places: Iterable[int]) -> None:
        self._free.extend(places)


class Lease:
    """The places of one cache: `rows` and `sources`, in the order of its rows and segments."""

    def __init__(self, row_places: Places, source_places: Places) -> None:
        self._row_places, self._source_places = row_places, source_places
        self.rows: list[int] = []
        self.sources: list[int] = []

    def take(self, num_rows: int, num_sources: int) -> None:
        """Raises `CacheOverflow`; then nothing is taken."""
        sources = self._source_places.take(num_sources)
        try:
            self.rows += self._row_places.take(num_rows)
        except CacheOverflow:
            self._source_places.give_back(sources)
            raise
        self.sources += sources

    def take_over(self, other: Lease) -> None:
        self.rows, self.sources = self.rows + other.rows, self.sources + other.sources
        other.rows, other.sources = [], []

    def keep(self, rows: Sequence[bool], sources: Sequence[bool]) -> None:
        """Give back the places where `rows` and `sources` are False."""
        self._row_places.give_back(p for p, stays in zip(self.rows, rows, strict=True) if not stays)
        self._source_places.give_back(p for p, stays in zip(self.sources, sources, strict=True) if not stays)
        self.rows = [place for place, stays in zip(self.rows, rows, strict=True) if stays]
        self.sources = [place for place, stays in zip(self.sources, sources, strict=True) if stays]

    def end(self) -> None:
        self.keep([False] * len(self.rows), [False] * len(self.sources))
