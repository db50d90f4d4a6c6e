"""A segment's way through the engine: what is asked, what is told, and what is known of it meanwhile.

Knows: token ids, options, times. Must not know: text, HTTP, what a tensor holds. All times are
`time.monotonic` seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from model.blocks import whole_blocks
from model.decoding import DecodingOptions, Hypothesis
from service.engine.errors import EngineError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MIN_PRIORITY, MAX_PRIORITY = -10, 10

Stage = Literal["queued", "running"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRequest:
    """One segment to translate. Raises `ValueError` for an empty source or a priority out of -10..10.

    `segment_id` is unique among the segments that are in the engine. A higher `priority` is served as if it
    had come earlier (`EngineConfig.priority_step_seconds` per level). `stream` asks for `TokensEvent`s,
    `draft` for `DraftEvent`s in their place wherever the search may still change its mind (beam search).
    `want_attention` asks for the best hypothesis's cross-attention, which takes one more pass over it.
    `accepted_at` is set in a later round of a segment that was accepted then: see `again`.
    """

    segment_id: str
    source_ids: tuple[int, ...]  # ends with `</s>`
    options: DecodingOptions
    stream: bool = False
    draft: bool = False
    want_attention: bool = False
    priority: int = 0
    deadline: float | None = None
    accepted_at: float | None = None

    def __post_init__(self) -> None:
        if not self.source_ids:
            raise ValueError("source_ids must have at least 1 token, got 0")
        if not MIN_PRIORITY <= self.priority <= MAX_PRIORITY:
            raise ValueError(f"priority must be in {MIN_PRIORITY}..{MAX_PRIORITY}, got {self.priority}")

    def again(self, accepted_at: float) -> SegmentRequest:
        """The same segment asked for in a further round. It keeps the turn of the first, accepted at this
        time, and a full queue takes it too: what was accepted is answered, however much has come since."""
        return self if self.accepted_at is not None else replace(self, accepted_at=accepted_at)


@dataclass(frozen=True, slots=True)
class SegmentTimings:
    """Seconds since submission: until the segment joined the batch, had its first token, and was finished."""

    queue_seconds: float
    first_token_seconds: float
    total_seconds: float

    def __reduce__(self) -> tuple[type[SegmentTimings], tuple[float, float, float]]:
        """As that of `TokensEvent`."""
        return SegmentTimings, (self.queue_seconds, self.first_token_seconds, self.total_seconds)

    def later(self, seconds: float) -> SegmentTimings:
        """Of a segment for which another one was decoded first, for so long."""
        return SegmentTimings(
            self.queue_seconds, self.first_token_seconds + seconds, self.total_seconds + seconds
        )


@dataclass(frozen=True, slots=True)
class TokensEvent:
    """Target tokens that are certain now. Over a segment they add up to the best hypothesis, exactly."""

    token_ids: tuple[int, ...]

    def __reduce__(self) -> tuple[type[TokensEvent], tuple[tuple[int, ...]]]:
        """One crosses processes for each stream and step; a dataclass's own way takes three times as long."""
        return TokensEvent, (self.token_ids,)


@dataclass(frozen=True, slots=True)
class DraftEvent:
    """All tokens of the hypothesis that leads now; a later one may begin otherwise."""

    token_ids: tuple[int, ...]

    def __reduce__(self) -> tuple[type[DraftEvent], tuple[tuple[int, ...]]]:
        """As that of `TokensEvent`."""
        return DraftEvent, (self.token_ids,)


@dataclass(frozen=True, slots=True)
class FinishedEvent:
    """The answer, best first. Nothing follows.

    `attention`, where it was asked for, is float32, [L, H, T, S]: row t is what was attended to
    when the best hypothesis's token t was predicted, its `</s>` included where it has one.
    """

    hypotheses: tuple[Hypothesis, ...]
    timings: SegmentTimings
    # Arrays have no plain equality.
    attention: NDArray[np.float32] | None = field(default=None, compare=False)

    def __reduce__(self) -> tuple[type[FinishedEvent], tuple[object, ...]]:
        """As that of `TokensEvent`."""
        return FinishedEvent, (self.hypotheses, self.timings, self.attention)


@dataclass(frozen=True, slots=True)
class FailedEvent:
    """There is no answer. Nothing follows."""

    error: EngineError


Event = TokensEvent | DraftEvent | FinishedEvent | FailedEvent


@dataclass(slots=True, eq=False)
class Segment:
    """All that the engine knows of an accepted segment. `key` counts arrivals and is never used twice."""

    key: int
    request: SegmentRequest
    max_length: int  # target tokens, `</s>` counted
    submitted_at: float
    joined_at: float | None = None  # when its turn to be encoded came
    first_token_at: float | None = None
    num_steps: int = 0  # positions decoded so far, the same for all its rows
    is_cancelled: bool = False
    rows: int = field(init=False)  # asked for at every step, as the next one is
    num_source_tokens: int = field(init=False)

    def __post_init__(self) -> None:
        self.rows = self.request.options.rows
        self.num_source_tokens = len(self.request.source_ids)

    @property
    def num_source_positions(self) -> int:
        """Positions that its keys and values take: whole blocks, filled with padding."""
        return whole_blocks(self.num_source_tokens)

    @property
    def num_target_positions(self) -> int:
        """Positions that each of its rows may come to take: whole blocks too."""
        return whole_blocks(self.max_length)

    @property
    def is_later_round(self) -> bool:
        """Whether it was accepted before, and so needs no room in the queue."""
        return self.request.accepted_at is not None

    @property
    def turn_at(self) -> float:
        """Since when it has its place in the queue."""
        accepted_at = self.request.accepted_at
        return self.submitted_at if accepted_at is None else accepted_at

    def is_late(self, now: float) -> bool:
        return self.request.deadline is not None and now >= self.request.deadline

    def timings(self, now: float) -> SegmentTimings:
        """`now` stands for what has not happened yet."""
        joined = now if self.joined_at is None else self.joined_at
        first = now if self.first_token_at is None else self.first_token_at
        since = self.submitted_at
        return SegmentTimings(joined - since, first - since, now - since)


@dataclass(frozen=True, slots=True)
class Emission:
    """One event and the segment that it belongs to."""

    segment: Segment
    event: Event

    @property
    def is_last(self) -> bool:
        return isinstance(self.event, FinishedEvent | FailedEvent)
