"""The engine itself: plan, join, step, select, tell. Turned by one thread, asked by any.

Knows: scheduler, runner, observer, clock. Must not know: asyncio, HTTP, text, metric names.
Locking: the scheduler and the bookkeeping of ids are touched under `_lock` only, the device never under it,
so `submit` and `cancel` wait for no step.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable, Sequence

from torch import Tensor

from model.decoding import Hypothesis, Selection
from service.engine.change_over import TwoRunners
from service.engine.config import EngineConfig, EngineSnapshot
from service.engine.errors import (
    EngineDraining,
    EngineError,
    SegmentCancelled,
    StepFailed,
    is_about_memory,
)
from service.engine.observer import EngineObserver, GuardedObserver, Phase, SilentObserver
from service.engine.request import (
    DraftEvent,
    Emission,
    FailedEvent,
    FinishedEvent,
    Segment,
    SegmentRequest,
    TokensEvent,
)
from service.engine.runner import Runner, decoder_padding, encoder_padding, length_groups
from service.engine.scheduler import Leaving, Scheduler
from service.engine.speed import Speedometer

logger = logging.getLogger(__name__)


class Engine:
    """Continuous batching, one `step` at a time. `step` and `fail_all` belong to one thread."""

    def __init__(
        self,
        runner: Runner,
        config: EngineConfig,
        observer: EngineObserver | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runner: Runner | TwoRunners = runner
        self._clock = clock
        self._observer = GuardedObserver(observer or SilentObserver())
        self._scheduler = Scheduler(config, runner.bytes_per_position)
        self._speed = Speedometer()
        self._lock = threading.Lock()
        self._accepted: dict[str, Segment] = {}  # and not ended, by their id
        # Of the step at hand. Kept here, so that one that breaks off by a defect leaves nobody waiting.
        self._emissions: list[Emission] = []
        self._num_arrivals = 0
        self._draining = False
        self._last_turn = clock()
        self._device_seconds = 0.0  # of the step at hand
        self._measured_until: float | None = None  # since when the batch has been full

    # Asked by any thread.

    def submit(self, request: SegmentRequest, submitted_at: float | None = None) -> Segment:
        """Accept a segment, that may have been waiting elsewhere since `submitted_at`.

        Raises `EngineDraining`, `EngineOverloaded`, `SegmentTooLarge`; `ValueError` for an id that is in use
        and for source ids that the model does not know.
        """
        try:
            max_length = self._runner.max_length(request)
            with self._lock:
                return self._accept(request, max_length, submitted_at)
        except EngineError as error:
            self._observer.rejected(error.reason)
            raise

    def _accept(self, request: SegmentRequest, max_length: int, submitted_at: float | None) -> Segment:
        if self._draining:
            raise EngineDraining
        if request.segment_id in self._accepted:
            raise ValueError(f"segment_id {request.segment_id!r} is in use")
        now = self._clock()
        since = now if submitted_at is None else submitted_at
        segment = Segment(self._num_arrivals, request, max_length, submitted_at=since)
        if self._scheduler.is_idle:
            self._last_turn = now
        self._scheduler.submit(segment, self._backlog_seconds())
        self._accepted[request.segment_id] = segment
        self._num_arrivals += 1
        return segment

    def cancel(self, segment_id: str) -> None:
        """The segment leaves before the next step. Idempotent; an unknown id is ignored."""
        with self._lock:
            if segment_id in self._accepted:
                self._scheduler.cancel(self._accepted[segment_id].key)

    def cancel_key(self, key: int) -> None:
        """As `cancel`, by the key of an accepted segment, which is never used again as an id may be."""
        with self._lock:
            self._scheduler.cancel(key)

    def start_draining(self) -> None:
        """Refuse new segments from now on."""
        with self._lock:
            self._draining = True

    @property
    def is_idle(self) -> bool:
        with self._lock:
            return self._scheduler.is_idle

    def snapshot(self) -> EngineSnapshot:
        with self._lock:
            waiting, running = self._scheduler.waiting, self._scheduler.running
            return EngineSnapshot(
                queue_segments=len(waiting),
                queue_tokens=waiting.num_tokens,
                max_queue_tokens=waiting.max_tokens,
                running_segments=len(running),
                running_rows=running.rows,
                max_rows=running.max_rows,
                cache_bytes_used=running.bytes_used,
                cache_bytes_limit=running.bytes_limit,
                tokens_per_second=self._speed.tokens_per_second,
                backlog_seconds=self._backlog_seconds(),
                heartbeat_seconds=0.0 if self._scheduler.is_idle else self._clock() - self._last_turn,
                draining=self._draining,
                path=self.path,
            )

    @property
    def tokens_per_second(self) -> float:
        """Source tokens, as measured."""
        with self._lock:
            return self._speed.tokens_per_second

    def _backlog_seconds(self) -> float:
        return self._speed.seconds_for(self._scheduler.waiting.num_tokens)

    @property
    def path(self) -> str:
        """`Network.path` of the network that decodes what joins now."""
        return self._runner.path

    # Turned by one thread.

    def change_over(self, runner: Runner) -> None:
        """What joins from now on is run by `runner`, of the same model; what runs is left where it is."""
        self._runner = TwoRunners(self._runner, runner)

    def step(self) -> list[Emission]:
        """Free what leaves, encode what joins, one position for all rows, tell what came of it."""
        if isinstance(self._runner, TwoRunners) and self._runner.is_done:
            self._runner = self._runner.new
        started, self._device_seconds = self._clock(), 0.0
        with self._lock:
            self._last_turn = started
            plan = self._scheduler.plan(started, may_join=self._runner.num_ahead == 0)
            is_full = bool(self._scheduler.waiting)
        self._drop(plan.leaving)
        for leaving in plan.leaving:
            self._leave(leaving)
        for group in length_groups(plan.joining, self._runner.max_group_padding):
            self._join(group)
        if self._runner.keys:
            self._decode(run_on=not is_full)
        self._measure(started, is_full)
        return self._take_emissions()

    def _take_emissions(self) -> list[Emission]:
        emissions, self._emissions = self._emissions, []
        return emissions

    def run_until_idle(self) -> list[Emission]:
        """Step until nothing waits or runs: the whole way without a thread, for tests and tools."""
        emissions: list[Emission] = []
        while not self.is_idle:
            emissions += self.step()
        return emissions

    def fail_all(self, error: EngineError) -> list[Emission]:
        """End everything that was accepted with `error`.

        After a step that broke off by a defect, what it had come to tell is told first, and whoever it had
        taken out of the scheduler ends as well.
        """
        self._runner.clear()
        with self._lock:
            self._scheduler.clear()
            segments = list(self._accepted.values())
        for segment in segments:
            self._fail(segment, error)
        return self._take_emissions()

    def _drop(self, leaving: Sequence[Leaving]) -> None:
        """Free the rows of who leaves; who else loses theirs by a failure on the way has failed."""
        if not leaving:
            return
        started = self._clock()
        try:
            self._runner.drop([one.segment.key for one in leaving])
        except Exception as error:  # rows may be half gone
            self._runner.clear()
            self._lose(error)
        finally:
            self._device_seconds += self._clock() - started

    def _join(self, group: Sequence[Segment]) -> None:
        started = self._clock()
        for segment in group:
            segment.joined_at = started
        try:
            self._runner.join(group)
        except Exception as error:
            self._lose(error)
            return
        self._passed("encode", self._clock() - started, len(group), encoder_padding(group))

    def _decode(self, run_on: bool) -> None:
        running, rows = self._joined(), self._runner.num_rows
        started = self._clock()
        try:
            selection = self._runner.step(run_on=run_on)
        except Exception as error:
            self._lose(error)
            return
        now = self._clock()
        self._passed("decode", now - started, rows, decoder_padding(running))
        for segment in running:
            segment.num_steps += 1
            if segment.first_token_at is None:
                segment.first_token_at = now
        concerned = {*selection.stable, *selection.drafts, *selection.finished, *selection.failed}
        told = [segment for segment in running if segment.key in concerned] if concerned else []
        for segment in told:
            self._tell(segment, selection, now)

    def _passed(self, phase: Phase, seconds: float, rows: int, padding_tokens: int) -> None:
        self._device_seconds += seconds
        self._observer.step(phase, seconds, rows, padding_tokens)

    def _tell(self, segment: Segment, selection: Selection, now: float) -> None:
        """What one step means for one segment: its new tokens before its end."""
        if segment.key in selection.stable:
            self._emissions.append(Emission(segment, TokensEvent(selection.stable[segment.key])))
        if segment.key in selection.drafts:
            self._emissions.append(Emission(segment, DraftEvent(selection.drafts[segment.key])))
        if segment.key in selection.finished:
            self._finish(segment, selection.finished[segment.key], now)
        elif segment.key in selection.failed:
            self._fail(segment, StepFailed("the model's log-probabilities are not numbers"))

    def _lose(self, cause: Exception) -> None:
        """After a failure on the device: whoever was given rows and no longer has them has failed."""
        error = _step_failed("a step on the device failed", cause)
        held = set(self._runner.keys)
        for segment in self._joined():
            if segment.key not in held:
                self._fail(segment, error)

    def _joined(self) -> list[Segment]:
        """Running segments, without those that are planned to join and have not been tried yet."""
        with self._lock:
            return [s for s in self._scheduler.running.segments if s.joined_at is not None]

    def _finish(self, segment: Segment, hypotheses: tuple[Hypothesis, ...], now: float) -> None:
        best, timings, attention = hypotheses[0], segment.timings(now), None
        if segment.request.want_attention:
            try:
                attention = self._attention(segment, best).numpy()
            except Exception as error:  # the other segments have their rows, and go on
                self._fail(segment, _step_failed("a pass for the attention failed", error))
                return
        source_tokens, target_tokens = segment.num_source_tokens, len(best.token_ids)
        self._observer.finished(best.finish_reason, source_tokens, target_tokens, timings)
        self._end(segment, FinishedEvent(hypotheses, timings, attention))

    def _attention(self, segment: Segment, best: Hypothesis) -> Tensor:
        started = self._clock()
        try:
            return self._runner.attention(segment, best)
        finally:
            self._device_seconds += self._clock() - started

    def _leave(self, leaving: Leaving) -> None:
        if not isinstance(leaving.error, SegmentCancelled):
            self._fail(leaving.segment, leaving.error)
            return
        self._observer.cancelled(leaving.stage)
        self._end(leaving.segment, FailedEvent(leaving.error))

    def _fail(self, segment: Segment, error: EngineError) -> None:
        self._observer.failed(error.reason)
        self._end(segment, FailedEvent(error))

    def _end(self, segment: Segment, event: FinishedEvent | FailedEvent) -> None:
        """The segment's last event. What was reserved for it is free, its id may be used again."""
        with self._lock:
            if segment.key in self._scheduler.running:
                self._scheduler.release([segment.key])
            del self._accepted[segment.request.segment_id]
        self._emissions.append(Emission(segment, event))

    def _measure(self, started: float, is_full: bool) -> None:
        """Tell what a step cost beside the device, and learn from it how fast a queue gets shorter."""
        now = self._clock()
        host_seconds = max(0.0, now - started - self._device_seconds)
        self._observer.step("schedule", host_seconds, self._runner.num_rows, 0)
        if not is_full:  # a batch with room to spare says nothing about how fast others would be served
            self._measured_until = None
            return
        ended = [one.segment for one in self._emissions if isinstance(one.event, FinishedEvent)]
        # What passes between two steps of a full batch delays those who wait as well.
        since = started if self._measured_until is None else self._measured_until
        self._measured_until = now
        with self._lock:
            self._speed.record(now - since, sum(segment.num_source_tokens for segment in ended))


def _step_failed(what: str, cause: Exception) -> StepFailed:
    """The error of those that a failure on the device concerns; the log has all of it."""
    if is_about_memory(cause):
        what += ": memory ran out; give it more, or lower cache_bytes_limit or max_rows"
    logger.error("%s: %s", what, type(cause).__name__, exc_info=cause)
    _forget_frames(cause)
    error = StepFailed(f"{what} ({type(cause).__name__})")
    error.__cause__ = cause
    return error


def _forget_frames(error: BaseException | None) -> None:
    """What the frames of its traceback held is free, and of what led to it: caches, whose places are given
    to others while the error may still be read."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
