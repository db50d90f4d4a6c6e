"""Who listens to the engine: metrics do, the engine knows nothing of them.

Knows: which facts are told. Must not know: metric names. `rejected` is called on the thread of whoever
submits; `cancelled`, for what was not handed to a child process yet, on the thread of whoever cancels; all
others on the engine's thread (the supervisor's of a child process). Keep them short. What they raise is
logged, and harms nobody: readers wait behind them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Literal, ParamSpec, Protocol

from model.decoding import FinishReason
from service.engine.request import SegmentTimings, Stage

Phase = Literal["schedule", "encode", "decode"]
P = ParamSpec("P")
logger = logging.getLogger(__name__)


class EngineObserver(Protocol):
    """Facts in the order in which they happen."""

    def step(self, phase: Phase, duration_seconds: float, rows: int, padding_tokens: int) -> None:
        """One pass over the network, or, as "schedule", all that a step did beside its passes.

        `rows` are segments when encoding, rows of the batch otherwise. `padding_tokens` are source positions
        that the encoder computed for nothing; when decoding, positions that attention read and masked: of the
        own side by row, of the source by segment, each up to the longest of the batch.
        """

    def finished(
        self, finish_reason: FinishReason, source_tokens: int, target_tokens: int, timings: SegmentTimings
    ) -> None:
        """A segment was answered; `target_tokens` of its best hypothesis, `</s>` not counted."""

    def rejected(self, reason: str) -> None:
        """A segment was refused at submit; `reason` is the error's: overloaded, draining or too_large."""

    def cancelled(self, stage: Stage) -> None:
        """A segment was cancelled while queued or running."""

    def failed(self, reason: str) -> None:
        """An accepted segment failed; `reason` is the error's: deadline, step, draining and so on."""

    def restarted(self) -> None:
        """The engine's process had died, and another one is being started."""


class SilentObserver:
    """Nobody listens."""

    def step(self, phase: Phase, duration_seconds: float, rows: int, padding_tokens: int) -> None: ...

    def finished(
        self, finish_reason: FinishReason, source_tokens: int, target_tokens: int, timings: SegmentTimings
    ) -> None: ...

    def rejected(self, reason: str) -> None: ...

    def cancelled(self, stage: Stage) -> None: ...

    def failed(self, reason: str) -> None: ...

    def restarted(self) -> None: ...


class GuardedObserver:
    """Tells another observer, whatever it makes of it."""

    def __init__(self, observer: EngineObserver) -> None:
        self._observer = observer

    def step(self, phase: Phase, duration_seconds: float, rows: int, padding_tokens: int) -> None:
        _tell(self._observer.step, phase, duration_seconds, rows, padding_tokens)

    def finished(
        self, finish_reason: FinishReason, source_tokens: int, target_tokens: int, timings: SegmentTimings
    ) -> None:
        _tell(self._observer.finished, finish_reason, source_tokens, target_tokens, timings)

    def rejected(self, reason: str) -> None:
        _tell(self._observer.rejected, reason)

    def cancelled(self, stage: Stage) -> None:
        _tell(self._observer.cancelled, stage)

    def failed(self, reason: str) -> None:
        _tell(self._observer.failed, reason)

    def restarted(self) -> None:
        _tell(self._observer.restarted)


def _tell(what: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    try:
        what(*args, **kwargs)
    except Exception:
        logger.exception("an observer raised")
