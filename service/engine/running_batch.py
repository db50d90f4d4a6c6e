"""What runs, and what is reserved for it: rows and bytes, each segment at its longest.

Knows: row counts, lengths, byte sizes. Must not know: tensors, tokens, who waits.

Keys and values of all rows stand in one padded block, so a row costs as much as the longest one may become.
That is what is reserved, for the whole future: nothing that runs is ever evicted for want of memory.

    bytes = bytes per position x (rows x longest target + segments x longest source), in whole blocks each
"""

from __future__ import annotations

from collections.abc import Collection

from service.engine.errors import SegmentTooLarge
from service.engine.request import Segment


class RunningBatch:
    """Segments that hold rows, under a limit of rows and one of bytes."""

    def __init__(self, max_rows: int, bytes_limit: int, bytes_per_position: int) -> None:
        self.max_rows, self.bytes_limit = max_rows, bytes_limit
        self._bytes_per_position = bytes_per_position
        self._segments: dict[int, Segment] = {}
        # Kept up to date, so that `fits`, asked at every step, reads three numbers.
        self._rows = self._longest_target = self._longest_source = 0

    def __len__(self) -> int:
        return len(self._segments)

    def __contains__(self, key: int) -> bool:
        return key in self._segments

    def get(self, key: int) -> Segment | None:
        return self._segments.get(key)

    @property
    def segments(self) -> Collection[Segment]:
        return self._segments.values()

    @property
    def rows(self) -> int:
        return self._rows

    @property
    def bytes_used(self) -> int:
        return self._bytes(len(self), self._rows, self._longest_target, self._longest_source)

    def check_possible(self, segment: Segment) -> None:
        """Raises `SegmentTooLarge` for a segment that would not fit even alone."""
        if segment.rows > self.max_rows:
            raise SegmentTooLarge("beam_size", self.max_rows, segment.rows)
        needed = self._bytes(1, segment.rows, segment.num_target_positions, segment.num_source_positions)
        if needed > self.bytes_limit:
            raise SegmentTooLarge("cache_bytes", self.bytes_limit, needed)

    def fits(self, segment: Segment) -> bool:
        rows = self._rows + segment.rows
        target = max(self._longest_target, segment.num_target_positions)
        source = max(self._longest_source, segment.num_source_positions)
        return rows <= self.max_rows and self._bytes(len(self) + 1, rows, target, source) <= self.bytes_limit

    def join(self, segment: Segment) -> None:
        """Reserve what the segment may need. The caller has asked `fits`."""
        self._segments[segment.key] = segment
        self._rows += segment.rows
        self._longest_target = max(self._longest_target, segment.num_target_positions)
        self._longest_source = max(self._longest_source, segment.num_source_positions)

    def leave(self, key: int) -> Segment:
        """Give back what was reserved. Raises `KeyError` when the segment does not run."""
        segment = self._segments.pop(key)
        self._rows -= segment.rows
        # Only who was among the longest can make the rest shorter.
        if segment.num_target_positions == self._longest_target:
            self._longest_target = max((s.num_target_positions for s in self.segments), default=0)
        if segment.num_source_positions == self._longest_source:
            self._longest_source = max((s.num_source_positions for s in self.segments), default=0)
        return segment

    def _bytes(self, num_segments: int, rows: int, longest_target: int, longest_source: int) -> int:
        return self._bytes_per_position * (rows * longest_target + num_segments * longest_source)
