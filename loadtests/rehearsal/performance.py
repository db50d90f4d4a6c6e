"""A whole rehearsal: a stage, users, acts one after the other, and what was seen.

Knows: how these are put together. Must not know: reports.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtests.rehearsal.acts import ACTS, Act
from loadtests.rehearsal.balancer import PATIENT
from loadtests.rehearsal.findings import Finding, Played, findings
from loadtests.rehearsal.load import Users, written_texts
from loadtests.rehearsal.outcome import Outcome
from loadtests.rehearsal.stage import Event, Stage, open_stage
from loadtests.rehearsal.waiting import wait_until


@dataclass(frozen=True, slots=True)
class Plan:
    """What a rehearsal is made of; `options` are those of `verto serve`."""

    acts: Sequence[Act] = ACTS
    users: int = 24
    texts: int = 150
    options: Sequence[str] = ()
    drain_delay_seconds: float = 3.0
    calm_seconds: float = 3.0
    retry_on: str = PATIENT
    balance: str = "leastconn"


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What happened and what became of every request, with all moments on one clock."""

    played: Sequence[Played]
    events: Sequence[Event]
    outcomes: Sequence[Outcome]

    @property
    def findings(self) -> list[Finding]:
        return findings(self.played, self.outcomes)


def rehearse(plan: Plan, done: Callable[..., None] = lambda: None) -> Rehearsal:
    """Play it; `done` is told of every act."""
    with tempfile.TemporaryDirectory(prefix="verto-rehearsal-") as name:
        folder = Path(name)
        with open_stage(
            folder, plan.options, plan.drain_delay_seconds, plan.calm_seconds, plan.retry_on, plan.balance
        ) as stage:
            files = written_texts(stage.replicas["r1"].port, folder, plan.texts)
            with Users(stage.balancer.url, files, plan.users, folder / "locust.log") as users:
                wait_until(lambda: len(users.outcomes()) > plan.users, 60, "users are answered")
                played = [_played(stage, act, done) for act in plan.acts]
            return Rehearsal(played, stage.events, users.outcomes())


def _played(stage: Stage, act: Act, done: Callable[..., None]) -> Played:
    began, retries = time.monotonic(), stage.retries()
    allowed = act.play(stage)
    stage.calm()
    done()
    return Played(act, began, time.monotonic(), allowed, stage.retries() - retries)
