"""How soon to start an engine's process again, and when to stop keeping people waiting for it.

Knows: how its lives ended. Must not know: processes, segments, clocks.

A process that dies at work is started again at once: its segments are waiting, and their own deaths are
counted one by one (ledger.py). It is another matter when it cannot even start, or when life after life ends
before a single segment was finished: then something is wrong with the engine and not with what it decodes.
What was accepted is then refused after all, and attempts go on, ever less often.
"""

from __future__ import annotations

MAX_FAILED_STARTS = 5  # in a row; also deaths with nothing to do
# In a row. One bad segment in a batch ends two lives in company and two alone (ledger.py).
MAX_FRUITLESS_LIVES = 10
FIRST_DELAY_SECONDS = 0.5
MAX_DELAY_SECONDS = 30.0


class RestartPolicy:
    """The lives of one engine's processes, told one after the other."""

    def __init__(self) -> None:
        self._failed_starts = self._fruitless_lives = 0

    def served(self) -> None:
        """A segment was finished: all is well."""
        self._failed_starts = self._fruitless_lives = 0

    def failed_to_start(self) -> None:
        """It died before it had anything to decode."""
        self._failed_starts += 1

    def died_at_work(self) -> None:
        """It died with segments running."""
        self._failed_starts = 0
        self._fruitless_lives += 1

    @property
    def is_hopeless(self) -> bool:
        """Nobody is to wait for the next attempt."""
        return self._failed_starts >= MAX_FAILED_STARTS or self._fruitless_lives >= MAX_FRUITLESS_LIVES

    @property
    def delay_seconds(self) -> float:
        """Until the next attempt."""
        failures = self._failed_starts + max(0, self._fruitless_lives - MAX_FRUITLESS_LIVES + 1)
        if failures == 0:
            return 0.0
        return float(min(FIRST_DELAY_SECONDS * 2.0 ** min(failures - 1, 16), MAX_DELAY_SECONDS))
