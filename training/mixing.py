"""How often each corpus is seen in an epoch, when small ones shall weigh more than their size.

Knows: the sizes of the corpora, a temperature. Must not know: lengths, batches, text.

A corpus that holds the share p of all pairs gets the share p^(1/T) / sum of these (Devlin 2018, multilingual
BERT's README; Arivazhagan et al. 2019, arXiv 1907.05019, section 4.2): with T = 1 its own, with a high T all
corpora get the same. An epoch has as many pairs as all corpora together, so that a small corpus is gone
through several times, and of a large one a part is drawn, another in each epoch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Mixture:
    """Corpora of `sizes` pairs, one behind the other, mixed at a temperature of 1 or more."""

    sizes: tuple[int, ...]
    temperature: float

    def counts(self) -> NDArray[np.int64]:
        """Pairs of each corpus in an epoch. What rounding leaves goes to the largest fractions."""
        sizes = np.asarray(self.sizes, dtype=np.float64)
        weights = np.where(sizes > 0, (sizes / sizes.sum()) ** (1 / self.temperature), 0.0)
        exact = weights / weights.sum() * sizes.sum()
        counts: NDArray[np.int64] = np.floor(exact).astype(np.int64)
        missing = int(sizes.sum()) - int(counts.sum())
        counts[np.argsort(counts - exact, kind="stable")[:missing]] += 1
        return counts

    def draw(self, random: np.random.Generator) -> NDArray[np.uint32]:
        """The pairs of one epoch, shuffled: whole passes through a corpus, the rest without repetition."""
        drawn, first = list[NDArray[np.uint32]](), 0
        for size, count in zip(self.sizes, self.counts(), strict=True):
            rows = np.arange(first, first + size, dtype=np.uint32)
            passes, rest = divmod(int(count), size) if size else (0, 0)
            drawn += [rows] * passes
            drawn.append(random.permutation(rows)[:rest] if rest else rows[:0])
            first += size
        order = np.concatenate(drawn)
        random.shuffle(order)
        return order
