"""What a parent knows of the segments that it accepted for its engine's process, from acceptance to the end.

Knows: segments, events, the limits of the queue. Must not know: processes, pipes, threads, text.

    accept -> waiting --(take_untold)--> told to the child --(joined)--> running --(event)--> ended
                 ^                                                          |
                 └------------------------ (died) --------------------------┘

Who is to blame for a death? Whoever was running may be, and nobody can say who: a death in company proves
nothing. So a segment that was running at two deaths is a suspect, and suspects are decoded one at a time with
nobody beside them. The innocent are answered so. One that was alone at two deaths has killed the engine
twice, and fails; once does not do, since a process may also be killed from outside. Who has died alone once
goes behind the other suspects. Everybody else waits until there is no suspect left.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field

from service.engine.config import EngineConfig
from service.engine.errors import (
    DeadlineExceeded,
    EngineError,
    EngineOverloaded,
    SegmentCancelled,
    SegmentTooLarge,
    StepFailed,
    StreamBroken,
)
from service.engine.replay import Deviation, SentTokens
from service.engine.request import (
    Emission,
    Event,
    FailedEvent,
    FinishedEvent,
    Segment,
    SegmentRequest,
    TokensEvent,
)
from service.engine.running_batch import RunningBatch

SUSPECT_DEATHS = 2
PROVING_DEATHS = 2


@dataclass(slots=True, eq=False)
class Entry:
    """One accepted segment."""

    segment: Segment
    sent_tokens: SentTokens = field(default_factory=SentTokens)
    deaths: int = 0  # of children while it was running
    deaths_alone: int = 0  # of those, while nothing else was running

    @property
    def key(self) -> int:
        return self.segment.key


class Ledger:
    """Accepted segments by key, and the room that they take. Not thread-safe."""

    def __init__(self, config: EngineConfig, bytes_per_position: int) -> None:
        self._max_queue_tokens = config.max_queue_tokens
        self._entries: dict[int, Entry] = {}  # by arrival, as the keys are
        self._keys: dict[str, int] = {}
        self._untold: dict[int, Entry] = {}  # those that the present child does not have
        self._suspects: dict[int, Entry] = {}
        self._waiting: dict[int, Segment] = {}
        self.queue_tokens = 0
        self.running = RunningBatch(config.max_rows, config.cache_bytes_limit, bytes_per_position)
        self._arrivals = itertools.count()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def queue_segments(self) -> int:
        return len(self._waiting)

    @property
    def num_told(self) -> int:
        """Segments that the child has and has not ended."""
        return len(self._entries) - len(self._untold)

    # Asked from outside.

    def accept(
        self, request: SegmentRequest, max_length: int, now: float, retry_after_seconds: float
    ) -> Segment:
        """Raises `ValueError` for an id that is in use, `EngineOverloaded`, `SegmentTooLarge`."""
        if request.segment_id in self._keys:
            raise ValueError(f"segment_id {request.segment_id!r} is in use")
        entry = Entry(Segment(next(self._arrivals), request, max_length, submitted_at=now))
        self._check_room(entry.segment, retry_after_seconds)
        self._entries[entry.key] = self._untold[entry.key] = entry
        self._keys[request.segment_id] = entry.key
        self._enqueue(entry.segment)
        return entry.segment

    def _check_room(self, segment: Segment, retry_after_seconds: float) -> None:
        self.running.check_possible(segment)
        if segment.num_source_tokens > self._max_queue_tokens:
            raise SegmentTooLarge("source_tokens", self._max_queue_tokens, segment.num_source_tokens)
        if segment.is_later_round:
            return
        if self.queue_tokens + segment.num_source_tokens > self._max_queue_tokens:
            raise EngineOverloaded(retry_after_seconds)

    def key_of(self, segment_id: str) -> int | None:
        """Of the accepted segment that has this id."""
        return self._keys.get(segment_id)

    def cancel(self, key: int) -> bool:
        """Note it; its place in the queue is free at once. True: the child has it and is to be told."""
        entry = self._entries.get(key)
        if entry is None or entry.segment.is_cancelled:
            return False
        entry.segment.is_cancelled = True
        self._dequeue(key)
        return key not in self._untold

    # What goes to the child.

    def take_untold(self) -> list[Segment]:
        """What the child is to be told of now, by arrival: everything, or the next suspect alone."""
        if not self._suspects:
            chosen = list(self._untold.values())
        elif self.num_told:
            return []
        else:
            chosen = [min(self._suspects.values(), key=lambda entry: (entry.deaths_alone, entry.key))]
        for entry in chosen:
            del self._untold[entry.key]
        return [entry.segment for entry in chosen]

    # What comes from the child.

    def joined(self, keys: Iterable[int], now: float) -> None:
        """The child is about to encode these."""
        for key in keys:
            if key in self._entries:
                self._dequeue(key)
                self.running.join(self._entries[key].segment)
                self._entries[key].segment.joined_at = now

    def take(self, key: int, event: Event) -> Emission | None:
        """What an event of the child means to the reader; None: nothing that he has not heard."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        try:
            new = _news(entry, event)
        except Deviation:
            new = FailedEvent(StreamBroken())
        if new is None:
            return None
        is_last = isinstance(new, FinishedEvent | FailedEvent)
        return self._end(entry, new) if is_last else Emission(entry.segment, new)

    # What the parent has to end itself.

    def died(self) -> list[Emission]:
        """The child is gone. All go back to where they stood in the queue; who has proved guilty fails."""
        running = [self._entries[segment.key] for segment in self.running.segments]
        for entry in running:
            entry.deaths += 1
            entry.deaths_alone += len(running) == 1
            self._go_back(entry)
            if entry.deaths >= SUSPECT_DEATHS:
                self._suspects[entry.key] = entry
        for entry in self._entries.values():
            entry.sent_tokens.start_again()
        self._untold = dict(self._entries)
        guilty = [entry for entry in running if entry.deaths_alone >= PROVING_DEATHS]
        return [self._end(entry, FailedEvent(StepFailed("the engine died of it twice"))) for entry in guilty]

    def _go_back(self, entry: Entry) -> None:
        self.running.leave(entry.key)
        entry.segment.joined_at = None
        if not entry.segment.is_cancelled:
            self._enqueue(entry.segment)

    def expire(self, now: float) -> list[Emission]:
        """End what is cancelled or late and the child does not have; of all others it will tell itself."""
        cancelled = [entry for entry in self._untold.values() if entry.segment.is_cancelled]
        late = [e for e in self._untold.values() if e.segment.is_late(now) and not e.segment.is_cancelled]
        return [
            *(self._end(entry, FailedEvent(SegmentCancelled())) for entry in cancelled),
            *(self._end(entry, FailedEvent(DeadlineExceeded("queued"))) for entry in late),
        ]

    def clear(self, error: EngineError) -> list[Emission]:
        """End everything."""
        return [self._end(entry, FailedEvent(error)) for entry in list(self._entries.values())]

    def _end(self, entry: Entry, event: Event) -> Emission:
        """Its last event: what it took is free, its id may be used again."""
        self._dequeue(entry.key)
        if entry.key in self.running:
            self.running.leave(entry.key)
        self._untold.pop(entry.key, None)
        self._suspects.pop(entry.key, None)
        del self._entries[entry.key], self._keys[entry.segment.request.segment_id]
        return Emission(entry.segment, event)

    def _enqueue(self, segment: Segment) -> None:
        self._waiting[segment.key] = segment
        self.queue_tokens += segment.num_source_tokens

    def _dequeue(self, key: int) -> None:
        segment = self._waiting.pop(key, None)
        if segment is not None:
            self.queue_tokens -= segment.num_source_tokens


def _news(entry: Entry, event: Event) -> Event | None:
    """The event without what the reader has already. Raises `Deviation` when it contradicts that."""
    if isinstance(event, TokensEvent):
        new = entry.sent_tokens.take(event.token_ids)
        return TokensEvent(new) if new else None
    if isinstance(event, FinishedEvent):
        entry.sent_tokens.check_answer(event.hypotheses[0].token_ids)
    return event
