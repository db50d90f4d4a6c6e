"""What the acts are played on: replicas behind a balancer, and a list of what was done to them when.

Knows: how they are put together. Must not know: acts, outcomes.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from loadtests.rehearsal.balancer import Balancer, ServerState, running_balancer
from loadtests.rehearsal.replica import Replica
from loadtests.rehearsal.waiting import wait_until
from loadtests.servers import free_port
from loadtests.subject import SHIPPED

NAMES = ("r1", "r2")
UP_SECONDS = 60.0  # for a balancer to see what is so


@dataclass(frozen=True, slots=True)
class Event:
    """What was done; `at` on the machine's steady clock."""

    at: float
    replica: str
    what: str


@dataclass(slots=True)
class Stage:
    """Both replicas are ready when the first act begins, and shall be when one ends."""

    balancer: Balancer
    replicas: dict[str, Replica]
    drain_delay_seconds: float
    calm_seconds: float
    events: list[Event] = field(default_factory=list)

    def note(self, replica: str, what: str) -> float:
        """Writes down that it happens now; gives the moment."""
        self.events.append(Event(time.monotonic(), replica, what))
        return self.events[-1].at

    def state(self, name: str) -> ServerState:
        """As the balancer sees it."""
        return self.balancer.states()[name]

    def retries(self) -> int:
        """Requests that the balancer has asked of another replica, since its start."""
        return sum(one.retries for one in self.balancer.states().values())

    def wait_until_up(self, name: str) -> None:
        wait_until(lambda: self.state(name).is_up, UP_SECONDS, f"the balancer sees {name} up")

    def start(self, name: str) -> None:
        """A new process in the place of one that has ended, until the balancer uses it."""
        self.replicas[name].start()
        self.replicas[name].wait_until_ready()
        self.note(name, "is ready")

    def calm(self) -> None:
        """Nothing is done for a while, with all replicas in use."""
        for name in self.replicas:
            self.wait_until_up(name)
        time.sleep(self.calm_seconds)


@contextlib.contextmanager
def open_stage(
    folder: Path,
    options: Sequence[str],
    drain_delay_seconds: float,
    calm_seconds: float,
    retry_on: str,
    balance: str,
) -> Iterator[Stage]:
    """Two servers with these options, ready, behind HAProxy; all ended when the block is left."""
    ports = {name: free_port() for name in NAMES}
    # One model each, so that a replica has one engine to lose.
    options = [*options, "--models-dir", str(SHIPPED), "--drain-delay-seconds", str(drain_delay_seconds)]
    replicas = {name: Replica(name, port, options, folder) for name, port in ports.items()}
    with contextlib.ExitStack() as stack:
        for one in replicas.values():
            stack.callback(one.clear)
            one.start()
        for one in replicas.values():
            one.wait_until_ready()
        balancer = stack.enter_context(running_balancer(ports, folder, retry_on, balance))
        yield Stage(balancer, replicas, drain_delay_seconds, calm_seconds)
