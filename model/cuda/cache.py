"""What a decoder remembers between steps, as the host knows it: whose place is whose, and how far each has
come.

Knows: segments, rows, places, blocks of steps computed ahead. Must not know: tensors on the device, weights.
Nothing here touches the device: that is brought up to date when the next step is computed (see network.py).

    search's row     0   1   2         rows close ranks when segments leave
    origin           4   5   1         the row of the device's table that it goes on from
    place            9   3   6         where it writes; the same as long as it lives
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from model.cuda.places import Lease
from model.cuda.record import Block
from model.kv_cache import CacheOverflow
from model.network import Foreseen

NEVER = float("-inf")


@dataclass(slots=True)
class CachedSegment:
    """One segment: rows, positions reserved and filled, source tokens; how it is searched, if known."""

    rows: int
    capacity: int
    source_length: int
    filled: int = 0
    foreseen: Foreseen | None = None


class AheadCache:
    """The running state of rows; see `model.network.Cache`, and `model.network.LooksAhead`."""

    def __init__(
        self,
        segments: Sequence[CachedSegment],
        lease: Lease,
        bytes_per_position: int,
        undo: Callable[[Block, bool], None],
    ) -> None:
        """`undo(block, moved)` takes the device's table back to where a block's search stands now."""
        self.segments, self.lease = list(segments), lease
        self._bytes_per_position, self._undo = bytes_per_position, undo
        weakref.finalize(self, lease.end)
        num_rows = sum(segment.rows for segment in segments)
        self.origins = [0] * num_rows  # of an empty row any will do
        self.totals = [total for one in segments for total in (0.0, *[NEVER] * (one.rows - 1))]
        self.block: Block | None = None
        self.is_current = False  # whether the device's state is this, to the last field
        self.on_device = list[int]()  # of each row, its number there since it was last loaded
        self.runs_on = True

    @property
    def num_rows(self) -> int:
        return len(self.lease.rows)

    @property
    def num_segments(self) -> int:
        return len(self.segments)

    @property
    def num_bytes(self) -> int:
        """Bytes of the positions that are filled."""
        positions = sum(one.rows * one.filled + one.source_length for one in self.segments)
        return positions * self._bytes_per_position

    @property
    def segment_of_row(self) -> Tensor:
        """[R], on the host."""
        return torch.tensor(self._segment_of_row(), dtype=torch.long)

    def _segment_of_row(self) -> list[int]:
        return [index for index, segment in enumerate(self.segments) for _ in range(segment.rows)]

    @property
    def num_ahead(self) -> int:
        """Steps that are computed and not asked for yet: who joins before has them computed anew."""
        return 0 if self.block is None else self.block.num_left

    @property
    def is_foreseen(self) -> bool:
        """Whether what every search does next is known."""
        asked = [(one.foreseen, one.filled) for one in self.segments]
        return all(foreseen is not None and foreseen.from_step <= filled for foreseen, filled in asked)

    def foresee(self, segments: Sequence[Foreseen | None]) -> None:
        """See `LooksAhead.foresee`."""
        for segment, foreseen in zip(self.segments, segments, strict=True):
            segment.foreseen = foreseen

    def check(self, num_tokens: int) -> None:
        """Raises as `Network.step` promises."""
        if not 0 < num_tokens == self.num_rows:
            raise ValueError(f"{num_tokens} tokens for {self.num_rows} rows")
        for index, segment in enumerate(self.segments):
            if segment.filled >= segment.capacity:
                filled, capacity = segment.filled, segment.capacity
                raise CacheOverflow(f"segment {index} holds {filled} positions, its capacity is {capacity}")

    def advance(self) -> None:
        for segment in self.segments:
            segment.filled += 1

    def most_steps(self) -> int:
        """How many steps some segment can still take."""
        return max(segment.capacity - segment.filled for segment in self.segments)

    def reorder(self, parents: Tensor) -> None:
        """Raises `ValueError` for a parent of another segment."""
        wanted, owners = parents.tolist(), self._segment_of_row()
        if [owners[row] for row in wanted] != owners:
            raise ValueError("parents must be rows of the same segment")
        if self.block is not None:
            if self.block.moved(wanted):
                return  # the device has done so already
            self.distrust(moved=False)
        if wanted != list(range(len(wanted))):
            self.origins = [self.origins[row] for row in wanted]
            self.is_current = False

    def settle(self) -> None:
        """No block any more: the device stands where the search does, but for tokens and lengths."""
        if self.block is not None and self.block.has_moved and not self.block.num_left:
            self.close_block()
        elif self.block is not None:
            self.forget_ahead(moved=self.block.has_moved)

    def forget_ahead(self, *, moved: bool) -> None:
        """Go on from where the search stands; `moved`: it has reordered its rows as the last step said."""
        if self.block is not None:
            block, self.block = self.block, None
            self._undo(block, moved)
            self.origins, self.totals, self.is_current = block.rows, block.totals, False

    def distrust(self, *, moved: bool) -> None:
        """The search did something else than was computed: what it does is not foreseen any more."""
        self.forget_ahead(moved=moved)
        for segment in self.segments:
            segment.foreseen = None

    def close_block(self) -> None:
        """All its steps were told, and the search did what they said: the device stands where the search
        does."""
        if self.block is not None:
            block, self.block = self.block, None
            self.origins, self.totals = block.rows, block.totals

    @property
    def longest(self) -> int:
        """Positions of the longest row."""
        return max(segment.filled for segment in self.segments)

    def keep(self, segments: Tensor) -> None:
        if segments.shape != (self.num_segments,) or segments.dtype != torch.bool:
            raise ValueError(f"keep needs one boolean for each of {self.num_segments} segments")
        stays = segments.tolist()
        rows = [stays[owner] for owner in self._segment_of_row()]
        self.lease.keep(rows, stays)
        self.segments = [one for one, kept in zip(self.segments, stays, strict=True) if kept]
        self.on_device = [number for number, kept in zip(self.on_device, rows, strict=False) if kept]
        if self.block is not None:
            self.block.keep(rows)
        else:
            self.origins = [one for one, kept in zip(self.origins, rows, strict=True) if kept]
            self.totals = [one for one, kept in zip(self.totals, rows, strict=True) if kept]
        self.is_current = False

    def join(self, other: AheadCache) -> None:
        self.settle()
        if any(segment.filled for segment in other.segments):
            raise ValueError("segments join before their first step")
        self.segments += [replace(segment) for segment in other.segments]
        self.origins, self.totals = self.origins + other.origins, self.totals + other.totals
        self.lease.take_over(other.lease)
        other.segments, other.origins, other.totals = [], [], []
        self.is_current = False

    def note_totals(self, rows: Sequence[int], totals: Sequence[float]) -> None:
        """The sums of some rows after a step that was not computed ahead."""
        for row, total in zip(rows, totals, strict=True):
            self.totals[row] = total
