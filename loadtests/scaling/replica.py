"""One simulated server: a batch that sentences join and leave, and a queue before it.

Knows: steps by the number of sentences in the batch, encoding, who waits. Must not know: balancers,
autoscalers, where times come from.

A sentence of T tokens stays for T steps. With n in the batch a step takes `step_seconds[n]`, so between two
events all advance alike: one number, the steps done since the beginning, says how far each is. A sentence
that joins stops the others while it is encoded, as it does in the engine.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from loadtests.scaling.traffic import Request


@dataclass(frozen=True, slots=True)
class Speed:
    """`step_seconds[n]` with n sentences in the batch, 0 to the most that fit; seconds of encoding."""

    step_seconds: Sequence[float]
    encode_base_seconds: float = 0.0
    encode_token_seconds: float = 0.0

    @property
    def most(self) -> int:
        return len(self.step_seconds) - 1

    def encode_seconds(self, tokens: float) -> float:
        return self.encode_base_seconds + self.encode_token_seconds * tokens

    def capacity(self, mean_tokens: float) -> float:
        """Sentences per second when somebody always waits."""
        turn = mean_tokens * self.step_seconds[self.most] + self.most * self.encode_seconds(mean_tokens)
        return self.most / turn


class Replica:
    """Times are seconds of the simulation. It is `open` while the balancer may choose it; `end` is when the
    next sentence ends if nothing comes before (else infinity), `asked` when it was asked last."""

    def __init__(self, name: str, speed: Speed, now: float, mean_tokens: float) -> None:
        self.name, self.open = name, True
        self._speed = speed
        self._tokens_per_second = speed.capacity(mean_tokens) * mean_tokens
        self._running: list[tuple[float, int, Request]] = []  # steps done when it ends; in order of joining
        self._waiting: deque[Request] = deque()
        self._waiting_tokens = 0
        self._joined = 0
        self._steps, self._at, self._stalled_until = 0.0, now, now
        self._busy_seconds = 0.0
        self.end, self.asked = math.inf, now

    @property
    def held(self) -> int:
        """Requests that it has accepted and not answered."""
        return len(self._running) + len(self._waiting)

    @property
    def backlog_seconds(self) -> float:
        """What waits over the speed of a full batch: the metric of the same name."""
        return self._waiting_tokens / self._tokens_per_second

    def offer(self, now: float, request: Request) -> None:
        """It joins the batch, or waits for room."""
        self._advance(now)
        self.asked = now
        if len(self._running) < self._speed.most:
            self._join(now, request)
            self.end = self._next_end()
        else:
            self._waiting.append(request)
            self._waiting_tokens += request.tokens

    def finish(self, now: float) -> Request:
        """The one whose end is due leaves, and who waits longest joins."""
        self._advance(now)
        end, _, request = heapq.heappop(self._running)
        self._steps = max(self._steps, end)  # what rounding left
        if self._waiting:
            head = self._waiting.popleft()
            self._waiting_tokens -= head.tokens
            self._join(now, head)
        self.end = self._next_end()
        return request

    def lose_all(self, now: float) -> list[Request]:
        """It dies: what it had."""
        self._advance(now)
        lost = [request for _, _, request in self._running] + list(self._waiting)
        self._running, self._waiting, self._waiting_tokens = [], deque(), 0
        self.open, self.end = False, math.inf
        return lost

    def busy_until(self, now: float) -> float:
        """Seconds that it has computed since it was made."""
        self._advance(now)
        return self._busy_seconds

    def _join(self, now: float, request: Request) -> None:
        heapq.heappush(self._running, (self._steps + request.tokens, self._joined, request))
        self._joined += 1
        encoding = self._speed.encode_seconds(request.tokens)
        self._stalled_until = max(now, self._stalled_until) + encoding

    def _advance(self, now: float) -> None:
        if self._running:
            self._busy_seconds += now - self._at
            began = max(self._at, self._stalled_until)
            if now > began:
                self._steps += (now - began) / self._step()
        self._at = now

    def _next_end(self) -> float:
        if not self._running:
            return math.inf
        left = max(0.0, self._running[0][0] - self._steps)
        return max(self._at, self._stalled_until) + left * self._step()

    def _step(self) -> float:
        return self._speed.step_seconds[len(self._running)]
