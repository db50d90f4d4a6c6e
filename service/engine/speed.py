"""How fast the engine works, as measured. Knows: tokens, seconds of steps. Must not know: clocks, queues."""

from __future__ import annotations

HALF_LIFE_SECONDS = 10.0  # of such time: what was measured so long ago counts half
FIRST_GUESS = 200.0  # source tokens per second, until something was measured


class Speedometer:
    """Source tokens finished per second of a full batch, recent work counting more."""

    def __init__(self) -> None:
        # The guess weighs as much as one second.
        self._tokens, self._seconds = FIRST_GUESS, 1.0

    def record(self, seconds: float, finished_tokens: int) -> None:
        """A step took `seconds`, and segments with `finished_tokens` source tokens ended in it."""
        fade = 0.5 ** (seconds / HALF_LIFE_SECONDS)
        self._tokens = self._tokens * fade + finished_tokens
        self._seconds = self._seconds * fade + seconds

    @property
    def tokens_per_second(self) -> float:
        return self._tokens / self._seconds

    def seconds_for(self, num_tokens: int) -> float:
        """How long so many source tokens take at the measured speed."""
        return num_tokens / max(self.tokens_per_second, 1e-3)
