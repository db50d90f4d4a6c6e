"""How many pairs were read and kept, and why the others were not.

Knows: counts and reasons. Must not know: rules, texts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class CleaningReport:
    """How many pairs were read and kept, and how many fell to each rule."""

    read: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    def describe(self) -> str:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(self.dropped.items()))
        return f"{self.read:,} pairs read, {self.kept:,} kept" + (f" (dropped: {reasons})" if reasons else "")
