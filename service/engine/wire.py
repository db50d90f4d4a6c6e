"""What an engine's process and its parent tell each other, and how it gets through the pipe.

Knows: the messages, pickle. Must not know: who sends when, processes, threads.

    parent -> child    Start, then batches of Submit and Cancel, at last Stop (or the end of the pipe)
    child -> parent    Ready or Failed, then Stepped as the work goes on, Changed at most once

Both sides are this program, of one version, and nobody else holds an end of the pipe: that is why pickle will
do. Times are `time.monotonic` of the parent. Its zero is the machine's start (Linux, macOS), the same for
all processes, so that the child can compare deadlines with its own clock.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, NamedTuple

from model.config import ModelConfig
from service.engine.config import EngineConfig
from service.engine.network_plan import NetworkPlan
from service.engine.request import Event, SegmentRequest

# The first that has buffers out of band; fixed, so that it does not change with the interpreter.
PROTOCOL = 5

FactName = Literal["step", "finished", "cancelled", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What the child is to load, and under which limits."""

    bundle: Path
    plan: NetworkPlan
    config: EngineConfig


@dataclass(frozen=True, slots=True)
class Submit:
    """A segment to decode. `key` is the parent's, never used twice, and stands in for the segment's id."""

    key: int
    request: SegmentRequest
    submitted_at: float


@dataclass(frozen=True, slots=True)
class Cancel:
    """The segment is to end; it may have ended already."""

    key: int


@dataclass(frozen=True, slots=True)
class Stop:
    """End after the step at hand."""


Command = Submit | Cancel | Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The model is in memory. Equal for every process that has loaded the same bundle in the same way.

    `path` is `Network.path` of the network that decodes now; the next process may begin with another one.
    """

    config: ModelConfig
    dtype: str
    device: str
    bytes_per_position: int
    manifest_digest: str
    path: str = field(default="eager", compare=False)
    process_id: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Failed:
    """The model cannot be loaded; the child ends."""

    error: Exception


class Observed(NamedTuple):
    """A fact for the parent's observer: a method of `EngineObserver` and its arguments."""

    name: FactName
    arguments: tuple[Any, ...]


class Stepped(NamedTuple):
    """All that came of the steps since the last one: facts in their order, events by key, the speed so far;
    then the keys of those that are about to be encoded.

    Events are told before the next pass over the network, and so are those who join by then, so that it is
    known who ran if that is the end. As the child's sign of life one is sent now and then in any case.
    """

    facts: tuple[Observed, ...]
    events: tuple[tuple[int, Event], ...]
    tokens_per_second: float
    joining: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Changed:
    """From now on another network decodes what joins: its `Network.path`."""

    path: str


Report = Ready | Failed | Stepped | Changed


def packed(message: Start | tuple[Command, ...] | Report) -> bytes:
    """As it goes through the pipe."""
    return pickle.dumps(message, PROTOCOL)


def send(connection: Connection, message: Start | tuple[Command, ...] | Report) -> None:
    """Waits while the pipe is full. Raises `OSError` when the other side is gone."""
    connection.send_bytes(packed(message))


def receive(connection: Connection) -> Any:
    """Waits for the next message. Raises `EOFError` or `OSError` when the other side is gone."""
    return pickle.loads(connection.recv_bytes())
