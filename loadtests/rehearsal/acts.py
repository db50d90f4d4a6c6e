"""What is done to the replicas, one act after the other, while users go on asking.

Knows: the stage. Must not know: what users saw of it. Each act leaves both replicas in use, and tells how
many requests may have been spoilt at most.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from loadtests.http_client import post_request
from loadtests.rehearsal.stage import Stage
from loadtests.rehearsal.waiting import wait_until
from loadtests.workload import made_up

VICTIM = "r1"
DRAIN_SECONDS = 60.0
DOWN_SECONDS = 2.0  # that a dead replica stays away
PAUSE_SECONDS = 6.0
FLOOD_SECONDS, FLOODS, FLOOD_CHARACTERS = 6.0, 4, 90_000
ON_THE_WAY = 2  # requests that users have sent and the balancer has not handed on yet


class Leftover(RuntimeError):
    """A server did not end in good order when it was told to; says how."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """Requests that may be spoilt: so many of those begun before it was `counted`, all that began between
    then and the `end` of the process, and none that began later. Moments as in `Event`. `refusals`: whether
    a server may refuse requests in good order."""

    spoilt: int = 0
    counted: float = 0.0
    end: float = 0.0
    refusals: bool = False


@dataclass(frozen=True, slots=True)
class Act:
    """`title` says it to people; `promise` what users may notice."""

    name: str
    title: str
    promise: str
    play: Callable[[Stage], Allowed]


def nothing(stage: Stage) -> Allowed:
    time.sleep(stage.calm_seconds)
    return Allowed()


def planned(stage: Stage) -> Allowed:
    """The balancer is told first, so that nothing runs on a replica when its SIGTERM comes."""
    for name in stage.replicas:
        stage.balancer.drain(name)
        stage.note(name, "drained")
        wait_until(lambda name=name: stage.state(name).sessions == 0, DRAIN_SECONDS, f"{name} is empty")  # type: ignore[misc]
        _ended(stage, name)
        stage.start(name)
        stage.balancer.ready(name)
        stage.wait_until_up(name)
    return Allowed()


def signalled(stage: Stage) -> Allowed:
    """Nobody is told: SIGTERM, and the balancer's health checks hear of it, as in Kubernetes."""
    for name in stage.replicas:
        _ended(stage, name)
        stage.start(name)
        stage.wait_until_up(name)
    return Allowed()


def killed(stage: Stage) -> Allowed:
    counted, sessions = time.monotonic(), stage.state(VICTIM).sessions
    stage.note(VICTIM, "SIGKILL")
    stage.replicas[VICTIM].kill()
    end = time.monotonic()
    time.sleep(DOWN_SECONDS)
    stage.start(VICTIM)
    return Allowed(sessions + ON_THE_WAY, counted, end)


def engine_killed(stage: Stage) -> Allowed:
    """The server notices, starts another, and has it do again what the dead one had."""
    replica = stage.replicas[VICTIM]
    (before,) = replica.engines()
    stage.note(VICTIM, "engine killed")
    kill(before)
    wait_until(lambda: replica.engines() not in ([], [before]), DRAIN_SECONDS, "another engine is there")
    stage.note(VICTIM, "new engine")
    replica.translate("Good morning.")  # the new one has the model in memory
    stage.note(VICTIM, "answers again")
    return Allowed()


def paused(stage: Stage) -> Allowed:
    replica = stage.replicas[VICTIM]
    stage.note(VICTIM, "SIGSTOP")
    replica.pause()
    try:
        time.sleep(PAUSE_SECONDS)
    finally:
        replica.go_on()
        stage.note(VICTIM, "SIGCONT")
    return Allowed()


def flooded(stage: Stage) -> Allowed:
    """Somebody asks one replica, past the balancer, for more than it can do, and goes away after a while."""
    flood = _flood()
    stage.note(VICTIM, "queue filled")
    connections = [
        socket.create_connection(("127.0.0.1", stage.replicas[VICTIM].port)) for _ in range(FLOODS)
    ]
    try:
        for one in connections:
            one.sendall(flood)
        time.sleep(FLOOD_SECONDS)
    finally:
        for one in connections:
            one.close()
        stage.note(VICTIM, "flood gone")
    return Allowed(refusals=True)


ACTS = (
    Act("calm", "nothing happens", "nothing", nothing),
    Act("planned", "both replaced, the balancer told first", "no request fails, no stream breaks", planned),
    Act("signalled", "both replaced by SIGTERM alone", "no request fails, no stream breaks", signalled),
    Act("killed", "one killed (SIGKILL)", "at most what ran there is lost", killed),
    Act("engine", "the engine of one killed", "no request fails, no stream breaks", engine_killed),
    Act("paused", "one stands still for 6 s", "what it has is late", paused),
    Act("flooded", "the queue of one filled", "refusals with Retry-After", flooded),
)


def kill(process_id: int) -> None:
    """Without warning."""
    os.kill(process_id, signal.SIGKILL)


def _ended(stage: Stage, name: str) -> None:
    """SIGTERM, and the wait for a good end."""
    stage.note(name, "SIGTERM")
    stage.replicas[name].terminate()
    code = stage.replicas[name].wait_for_end()
    stage.note(name, "ended")
    if code != 0:
        raise Leftover(f"{name} ended with exit code {code} after SIGTERM, where 0 was expected")


def _flood() -> bytes:
    sentences = made_up(FLOOD_CHARACTERS // 20, seed=7).sentences
    text = " ".join(sentences)[:FLOOD_CHARACTERS]
    return post_request("x", "/v1/translate", {"text": text, "source": "en", "timeout_ms": 600_000})
