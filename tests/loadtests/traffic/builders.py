"""Samples and windows with defaults, for tests that are about one number of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loadtests.traffic.kinds import STREAM, TRANSLATE
from loadtests.traffic.plan import Asking, Plan
from loadtests.traffic.run import Run
from loadtests.traffic.samples import DONE, Sample, Verdict
from loadtests.traffic.windows import OPEN, Level, Scrape, Window

LEVEL = Level(OPEN, 10.0, "poisson")


def sample(due: float = 0.5, latency: float = 0.1, outcome: str = DONE, **rest: Any) -> Sample:
    verdict = Verdict(outcome, "" if outcome == DONE else "status 500", rest.pop("target_tokens", 10))
    fields: dict[str, Any] = {"kind": TRANSLATE, "sent": due, "ended": due + latency, "characters": 50}
    fields["status"] = 200 if outcome == DONE else 500
    return Sample(due=due, verdict=verdict, **(fields | rest))


def stream(due: float, *arrivals: float, tokens: int = 4) -> Sample:
    """Text comes at `arrivals`, counted from `due` on."""
    moments = tuple(due + arrival for arrival in arrivals)
    return sample(due, arrivals[-1] + 0.01, kind=STREAM, arrivals=moments, target_tokens=tokens)


def window(samples: Sequence[Sample], seconds: float = 1.0, number: int = 0, level: Level = LEVEL) -> Window:
    scrapes = [Scrape(0.2, {"running_rows": 3.0, "backlog_seconds": 0.1})]
    return Window(level, number, 1000.0 + number, seconds, samples, scrapes)


def run_of(windows: Sequence[Window], **changes: Any) -> Run:
    levels = {one.level for one in windows}
    rates = tuple(
        sorted(level.amount for level in levels if level.loop == OPEN and level.arrivals != "bursts")
    )
    users = tuple(sorted(int(level.amount) for level in levels if level.loop != OPEN))
    bursts = tuple(sorted(level.amount for level in levels if level.arrivals == "bursts"))
    asking = changes.pop("asking", Asking())
    plan = Plan(asking, users=users, rates=rates, bursts=bursts, **changes)
    return Run(plan, {"date": "today", "server": "en-de 1 float32"}, windows)
