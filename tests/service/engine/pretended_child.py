"""A child that a test plays itself: joins, emits and finishes what a ledger tells it, and dies when asked.

What a segment is answered follows from its source alone, as with a real engine. Nothing here has a clock.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from model.decoding import Hypothesis
from service.engine.config import EngineConfig
from service.engine.ledger import Ledger
from service.engine.request import (
    Emission,
    Event,
    FailedEvent,
    FinishedEvent,
    Segment,
    SegmentTimings,
    TokensEvent,
)

TIMINGS = SegmentTimings(0.0, 0.0, 0.0)


def answer_to(source_ids: Sequence[int]) -> tuple[int, ...]:
    return tuple(token * 7 % 11 for token in source_ids) * 2


class PretendedChild:
    """Drives `ledger` as dispatch, supervisor and worker do together. `told` is what readers have got."""

    def __init__(self, config: EngineConfig, poison: frozenset[int] = frozenset()) -> None:
        self.ledger = Ledger(config, 1)
        self.poison = poison  # first tokens of sources that kill
        self.told: dict[int, list[Event]] = {}
        self.waiting: list[Segment] = []
        self.running: dict[int, tuple[Segment, int]] = {}  # and how many tokens were emitted
        self.deaths: list[frozenset[int]] = []  # who ran at each

    def accept(self, segment: Segment) -> None:
        self.told[segment.key] = []

    def tell(self) -> None:
        self.waiting += self.ledger.take_untold()

    def join(self, number: int, room: int) -> None:
        """Some of those that wait, as long as so many run at most."""
        joining = self.waiting[: max(0, min(number, room - len(self.running)))]
        self.waiting = self.waiting[len(joining) :]
        if joining:
            self.ledger.joined([segment.key for segment in joining], 1.0)
            self.running |= {segment.key: (segment, 0) for segment in joining}

    def step(self, rng: random.Random) -> None:
        """One token or the end for everybody who runs; or the end of the child."""
        if any(segment.request.source_ids[0] in self.poison for segment, _ in self.running.values()):
            self.die()
            return
        for key, (segment, emitted) in list(self.running.items()):
            answer = answer_to(segment.request.source_ids)
            if segment.is_cancelled or emitted == len(answer):
                continue
            count = rng.randint(1, len(answer) - emitted)
            self._emit(key, TokensEvent(answer[emitted : emitted + count]))
            self.running[key] = (segment, emitted + count)
        for key, (segment, emitted) in list(self.running.items()):
            answer = answer_to(segment.request.source_ids)
            if emitted == len(answer):
                del self.running[key]
                self._emit(
                    key, FinishedEvent((Hypothesis(answer, (0.0,) * len(answer), 0.0, "stop"),), TIMINGS)
                )
        self.tell()

    def die(self) -> None:
        self.deaths.append(frozenset(self.running))
        self.waiting, self.running = [], {}
        self.hand_on(self.ledger.died())
        self.tell()

    def _emit(self, key: int, event: Event) -> None:
        told = self.ledger.take(key, event)
        if told is not None:
            self.hand_on([told])

    def hand_on(self, emissions: Sequence[Emission]) -> None:
        for emission in emissions:
            self.told[emission.segment.key].append(emission.event)

    # What came of it.

    def ends_of(self, key: int) -> list[FinishedEvent | FailedEvent]:
        return [event for event in self.told[key] if isinstance(event, FinishedEvent | FailedEvent)]

    def streamed(self, key: int) -> tuple[int, ...]:
        return tuple(t for event in self.told[key] if isinstance(event, TokensEvent) for t in event.token_ids)
