"""Simulated replicas behind a balancer: requests come, are refused or accepted, and end.

Knows: who is asked, when somebody is refused. Must not know: why replicas come and go.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from loadtests.scaling.replica import Replica, Speed
from loadtests.scaling.traffic import Request
from service.admission import QUEUE_SHARE

Call = Callable[[float], None]


@dataclass(slots=True)
class Record:
    """What became of requests: moment and seconds of each that was answered, moments of the others."""

    answered: list[tuple[float, float]] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    asked_again: int = 0  # requests that a dead replica had
    arrived: int = 0
    replicas: list[tuple[float, int]] = field(default_factory=list)  # moment, processes that are paid for


class Cluster:
    """The clock, the replicas and the requests. All times are seconds of the simulation."""

    def __init__(self, speed: Speed, mean_tokens: float, timeout_seconds: float) -> None:
        self._speed, self._mean_tokens = speed, mean_tokens
        self._longest_backlog = QUEUE_SHARE * timeout_seconds
        self.replicas: list[Replica] = []
        self.record = Record()
        self._calls: list[tuple[float, int, Call]] = []
        self._number = 0

    def at(self, moment: float, call: Call) -> None:
        """Something is done then."""
        heapq.heappush(self._calls, (moment, self._number, call))
        self._number += 1

    def add(self, now: float, name: str = "") -> Replica:
        """A replica that takes requests from now on."""
        replica = Replica(name or f"r{self._number}", self._speed, now, self._mean_tokens)
        self._number += 1
        self.replicas.append(replica)
        return replica

    def close(self, replica: Replica) -> None:
        """It gets nothing new, finishes what it has, and is gone."""
        replica.open = False
        if replica.held == 0:
            self.replicas.remove(replica)

    def kill(self, now: float, replica: Replica) -> None:
        """What it had is asked of others, as a balancer does."""
        self.replicas.remove(replica)
        lost = replica.lose_all(now)
        self.record.asked_again += len(lost)
        for request in lost:
            self._offer(now, request)

    def run(self, requests: Iterable[Request]) -> Record:
        """Until the last request that is accepted has ended."""
        for request in requests:
            self._until(request.arrived)
            self.record.arrived += 1
            self._offer(request.arrived, request)
        self._calls = []  # nobody directs an empty stage
        self._until(math.inf)
        return self.record

    @property
    def open_replicas(self) -> Sequence[Replica]:
        return [one for one in self.replicas if one.open]

    def _offer(self, now: float, request: Request) -> None:
        """To the one with fewest requests, of several to the one not asked for longest. It refuses when what
        waits there would take too long."""
        chosen = min(self.open_replicas, key=lambda one: (one.held, one.asked), default=None)
        if chosen is None or chosen.backlog_seconds > self._longest_backlog:
            self.record.refused.append(request.arrived)
        else:
            chosen.offer(now, request)

    def _until(self, moment: float) -> None:
        """All ends and calls up to this moment, in their order."""
        while True:
            first = min(self.replicas, key=lambda one: one.end, default=None)
            end = first.end if first is not None else math.inf
            call = self._calls[0][0] if self._calls else math.inf
            if min(end, call) > moment or min(end, call) == math.inf:
                return
            if call <= end or first is None:
                heapq.heappop(self._calls)[2](call)
            else:
                self._end(end, first)

    def _end(self, now: float, replica: Replica) -> None:
        request = replica.finish(now)
        self.record.answered.append((request.arrived, now - request.arrived))
        if not replica.open and replica.held == 0:
            self.replicas.remove(replica)
