"""Listens to an engine and sums up what its steps were like.

Knows: the engine's observer. Must not know: how a load is made.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict

from model.decoding import FinishReason
from service.engine import SegmentTimings
from service.engine.request import Stage


class EngineWatch:
    """An `EngineObserver`. Counts from `begin` to `end`; facts come on the engine's thread."""

    def __init__(self) -> None:
        self.begin()
        self.end()

    def begin(self) -> None:
        self._began, self._seconds_counted = time.perf_counter(), 0.0
        self._calls: dict[str, int] = defaultdict(int)
        self._seconds: dict[str, float] = defaultdict(float)
        self._rows: dict[str, int] = defaultdict(int)
        self._padding: dict[str, int] = defaultdict(int)
        self._source_tokens = 0

        self._counts = True

    def end(self) -> None:
        self._counts = False
        self._seconds_counted = time.perf_counter() - self._began

    def account(self) -> dict[str, float]:
        """Of what was counted. Shares are of the engine's busy time; NaN for what it does not tell."""
        seconds = self._seconds_counted
        busy = sum(self._seconds.values())
        encoded = self._padding["encode"] + self._source_tokens
        told = "schedule" in self._calls
        return {
            "steps_per_second": self._calls["decode"] / seconds,
            "rows_per_step": _ratio(self._rows["decode"], self._calls["decode"]),
            "step_ms": _ratio(1000 * busy, self._calls["decode"]),
            "encoder_share": _ratio(self._seconds["encode"], busy),
            "segments_per_encoding": _ratio(self._rows["encode"], self._calls["encode"]),
            "encoder_padding_share": _ratio(self._padding["encode"], encoded),
            "masked_positions_per_step": _ratio(self._padding["decode"], self._calls["decode"]),
            "scheduler_share": _ratio(self._seconds["schedule"], busy) if told else math.nan,
        }

    def step(self, phase: str, duration_seconds: float, rows: int, padding_tokens: int) -> None:
        if not self._counts:
            return
        self._calls[phase] += 1
        self._seconds[phase] += duration_seconds
        self._rows[phase] += rows
        self._padding[phase] += padding_tokens

    def finished(
        self, finish_reason: FinishReason, source_tokens: int, target_tokens: int, timings: SegmentTimings
    ) -> None:
        self._source_tokens += source_tokens if self._counts else 0

    def rejected(self, reason: str) -> None: ...

    def cancelled(self, stage: Stage) -> None: ...

    def failed(self, reason: str) -> None: ...

    def restarted(self) -> None: ...


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
