"""Steps that the device computes while the search is told those before.

Knows: shapes, caches, numbers of steps. Must not know: what is computed, how it comes to the host.

    host      told 1 2 3 4             told 5 6 7 8             told 9 ...
    device    5 6 7 8                  9 10 11 12               13 ...

Rows that have left meanwhile are computed along, for nobody. Where someone else joins, or the search does
what was not foreseen, the device's table of ancestors is taken back, and these steps are nobody's.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, replace

from torch import Tensor

from model.cuda.cache import AheadCache
from model.cuda.shapes import StepShape

MOST_IDLE = 4  # of so many rows one may be nobody's any more; where it are more, all are laid out anew


@dataclass(frozen=True, slots=True)
class RunningOn:
    """`count` steps of a cache's rows, in the shape that they were laid out in. Each held so many `lengths`
    [R] when they began, and had the ancestors `before`."""

    cache: weakref.ref[AheadCache]
    shape: StepShape
    count: int
    lengths: list[int]
    before: Tensor

    def following(self, cache: AheadCache, most: int) -> RunningOn | None:
        """The steps behind these, whose segments have not taken them yet; None: they are of no use."""
        count = min(most, cache.most_steps() - self.count)
        too_long = cache.longest + self.count + count > self.shape.target_room
        idle = len(self.lengths) - len(cache.on_device)
        if count < 1 or too_long or MOST_IDLE * idle > len(self.lengths):
            return None
        lengths = [length + self.count for length in self.lengths]
        return replace(self, count=count, lengths=lengths)
