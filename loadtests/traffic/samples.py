"""What became of one request. Knows: moments, outcomes. Must not know: HTTP clients, limits, statistics."""

from __future__ import annotations

from dataclasses import dataclass

DONE, REFUSED, FAILED = "done", "refused", "failed"
OUTCOMES = (DONE, REFUSED, FAILED)
REFUSING_STATUSES = (429, 503)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`fault` says in a few words why a request is not done; `target_tokens` as the server counts them."""

    outcome: str
    fault: str = ""
    target_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """One request. Moments are seconds since its window began, below 0 in the warm-up.

    `due` is when it should have been sent: in an open loop by the plan, in a closed one when it was.
    `arrivals` are the moments at which a stream brought text.
    """

    kind: str
    due: float
    sent: float
    ended: float
    status: int  # 0: no answer
    verdict: Verdict
    characters: int = 0
    arrivals: tuple[float, ...] = ()

    @property
    def outcome(self) -> str:
        return self.verdict.outcome

    @property
    def latency(self) -> float:
        """Seconds from the moment when it was due: who waits to be sent waits for the server."""
        return self.ended - self.due

    @property
    def lateness(self) -> float:
        """Seconds that the load generator itself was behind, a part of the latency."""
        return self.sent - self.due

    @property
    def first_text(self) -> float | None:
        """Seconds from the moment when it was due to the first piece of text."""
        return self.arrivals[0] - self.due if self.arrivals else None

    @property
    def gaps(self) -> list[float]:
        """Seconds between pieces of text, one after the other."""
        return [after - before for before, after in zip(self.arrivals, self.arrivals[1:], strict=False)]

    @property
    def seconds_per_token(self) -> float | None:
        """Behind the first piece, over the tokens of the whole; None where one piece brought everything."""
        if len(self.arrivals) < 2 or self.verdict.target_tokens < 2:
            return None
        return (self.arrivals[-1] - self.arrivals[0]) / (self.verdict.target_tokens - 1)
