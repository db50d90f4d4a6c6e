"""What runs, and what is reserved for it: rows and bytes, each segment at its longest.

Knows: row counts, lengths, byte sizes. Must not know: tensors, tokens, who waits.

Keys and values of all rows stand in one padded block, so a row costs as much as the longest one may become.
That is what is reserved, for the whole future: nothing that runs is ever evicted for want of memory.

    bytes = bytes per position x (rows x longest target + segments x longest source)
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
        return sum(segment.rows for segment in self.segments)

    @property
    def bytes_used(self) -> int:
        return self._bytes_of(self.segments)

    def check_possible(self, segment: Segment) -> None:
        """Raises `SegmentTooLarge` for a segment that would not fit even alone."""
        if segment.rows > self.max_rows:
            raise SegmentTooLarge("beam_size", self.max_rows, segment.rows)
        needed = self._bytes_of([segment])
        if needed > self.bytes_limit:
            raise SegmentTooLarge("cache_bytes", self.bytes_limit, needed)

    def fits(self, segment: Segment) -> bool:
        if self.rows + segment.rows > self.max_rows:
            return False
        return self._bytes_of([*self.segments, segment]) <= self.bytes_limit

    def join(self, segment: Segment) -> None:
        """Reserve what the segment may need. The caller has asked `fits`."""
        self._segments[segment.key] = segment

    def leave(self, key: int) -> Segment:
        """Give back what was reserved. Raises `KeyError` when the segment does not run."""
        return self._segments.pop(key)

    def _bytes_of(self, segments: Collection[Segment]) -> int:
        target = sum(s.rows for s in segments) * max((s.max_length for s in segments), default=0)
        source = len(segments) * max((s.num_source_positions for s in segments), default=0)
        return self._bytes_per_position * (target + source)
