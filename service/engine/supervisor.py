"""Keeps one child alive: starts it, reads what it says, notices its death, starts the next one.

Knows: children, pipes, clocks. Must not know: segments, readers, what a report means. One thread does all
this, from the first child to the end of the last.

A death is noticed by the end of the pipe, which the kernel closes in that moment. A child that has work and
says nothing for `stuck_seconds` is killed, and so is one that takes ten times as long to start as the first.
"""

from __future__ import annotations

import logging
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing import Pipe
from typing import Protocol

from service.engine.child import Child
from service.engine.outbox import Outbox
from service.engine.restart_policy import RestartPolicy
from service.engine.wire import Changed, Failed, Ready, Report, Stepped, Stop, receive

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.1  # between looks at deadlines and at a child's silence, while somebody waits
IDLE_TICK_SECONDS = 1.0  # while nobody does
CLOSE_SECONDS = 5.0  # for the step at hand
EXIT_SECONDS = 0.5  # from the end of the pipe to that of the process, before it is killed
SLOW_START_FACTOR, MIN_START_SECONDS = 10.0, 60.0


class StartError(Exception):
    """An engine's process did not come up; the message says what is known of it."""


class Owner(Protocol):
    """Whom the supervisor works for. All is called on its thread."""

    def has_work(self) -> bool:
        """Whether anybody waits for anything."""

    def silent_seconds(self) -> float:
        """How long a child that has work has said nothing; 0 when it has none."""

    def starting(self, is_first: bool) -> None:
        """A child is about to be started."""

    def started(self, ready: Ready, outbox: Outbox) -> None:
        """It has its model in memory and may be given work."""

    def heard(self, report: Stepped) -> bool:
        """It has reported. Whether a segment was finished."""

    def changed(self, path: str) -> None:
        """Another network decodes now."""

    def died(self) -> bool:
        """It is gone, after it had started. Whether anything was running."""

    def despaired(self, retry_after_seconds: float) -> None:
        """Nobody is to wait for the next child."""

    def ticked(self) -> None:
        """Some time has passed."""

    def stopped(self, failure: Exception | None) -> None:
        """The last call. `failure`: why the first child did not start."""


@dataclass(slots=True)
class _Life:
    """Of one child."""

    child: Child
    outbox: Outbox
    since: float = field(default_factory=time.monotonic)
    ready: Ready | None = None
    failure: Exception | None = None
    is_killed: bool = False

    @property
    def age_seconds(self) -> float:
        return time.monotonic() - self.since

    def kill(self, why: str) -> None:
        logger.error("the engine's process is killed: %s", why)
        self.is_killed = True
        self.child.kill()


class Supervisor:
    """Runs from `start` until `close`, or until the first child does not start."""

    def __init__(self, launch: Callable[[], Child], owner: Owner, stuck_seconds: float) -> None:
        self._launch, self._owner, self._stuck_seconds = launch, owner, stuck_seconds
        self._policy = RestartPolicy()
        self._first_ready: Ready | None = None
        self._start_limit_seconds = float("inf")
        self._failure: Exception | None = None
        self._closing = threading.Event()
        self._waker, self._wakened = Pipe()
        self._thread = threading.Thread(target=self._run, name="verto-supervisor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def is_closing(self) -> bool:
        return self._closing.is_set()

    def close(self) -> None:
        """Stop the child and end. Idempotent; from any thread."""
        self._closing.set()
        self._waker.close()  # ends the wait for reports
        self._thread.join()

    # Everything below belongs to the thread.

    def _run(self) -> None:
        is_first = True
        try:
            while not self.is_closing:
                self._owner.starting(is_first)
                self._live()
                self._pause()
                is_first = False
        except Exception as defect:
            logger.exception("the supervisor failed")
            self._failure = defect
        finally:
            self._closing.set()
            self._owner.stopped(self._failure)

    def _live(self) -> None:
        """One child, from its start to its end."""
        try:
            child = self._launch()
        except OSError as error:
            self._fail(error)
            return
        life = _Life(child, Outbox(child.connection))
        try:
            for report in self._reports(life):
                self._handle(life, report)
        finally:
            self._end(life)
        if not self.is_closing:
            self._mourn(life)

    def _reports(self, life: _Life) -> Iterator[Report]:
        """What the child says until it is gone, or it is time to stop."""
        connection, news, looked_at = life.child.connection, select.poll(), 0.0
        for one in (connection, self._wakened):
            news.register(one.fileno(), select.POLLIN)
        while not self.is_closing:
            is_waited_for = life.ready is None or self._owner.has_work()
            able = news.poll(1000 * (TICK_SECONDS if is_waited_for else IDLE_TICK_SECONDS))
            if connection.fileno() in dict(able):
                try:
                    yield receive(connection)
                except (EOFError, OSError):
                    return
            if (now := time.monotonic()) - looked_at >= TICK_SECONDS:
                looked_at = now
                self._look(life)

    def _look(self, life: _Life) -> None:
        """At what only time tells."""
        self._owner.ticked()
        if life.is_killed:
            return
        if life.ready is None and life.age_seconds > self._start_limit_seconds:
            life.kill(f"it has not started within {self._start_limit_seconds:.0f} s")
        elif life.ready is not None and self._owner.silent_seconds() > self._stuck_seconds:
            life.kill(f"it has work and has said nothing for {self._stuck_seconds:.0f} s")

    def _handle(self, life: _Life, report: Report) -> None:
        match report:
            case Ready():
                self._welcome(life, report)
            case Failed(error):
                life.failure = error
            case Changed(path):
                self._owner.changed(path)
            case Stepped():
                if self._owner.heard(report):
                    self._policy.served()

    def _welcome(self, life: _Life, ready: Ready) -> None:
        if self._first_ready is None:
            self._first_ready = ready
            self._start_limit_seconds = max(MIN_START_SECONDS, SLOW_START_FACTOR * life.age_seconds)
        if ready != self._first_ready:
            life.failure = StartError("the bundle is not the one that the server was started with")
            life.kill(str(life.failure))
            return
        life.ready = ready
        logger.info("the engine's process is ready", extra={"seconds": round(life.age_seconds, 2)})
        self._owner.started(ready, life.outbox)

    def _end(self, life: _Life) -> None:
        """However the life went: there is no process any more, and nothing of it is left."""
        if life.ready is not None and self.is_closing:
            life.outbox.put(Stop())
            life.child.wait(CLOSE_SECONDS)
        elif not self.is_closing:
            life.is_killed |= not life.child.wait(EXIT_SECONDS)  # so that its exit status is its own
        life.child.kill()
        if not life.child.wait(CLOSE_SECONDS):
            logger.error("the engine's process does not end")
        life.outbox.close(CLOSE_SECONDS)
        life.child.connection.close()

    def _mourn(self, life: _Life) -> None:
        if life.ready is None:
            self._fail(life.failure or StartError(_stillborn(life)))
            return
        extra = {"seconds": round(life.age_seconds, 2), "exit_status": life.child.exit_status}
        logger.error("the engine's process died", extra=extra)
        if self._owner.died():
            self._policy.died_at_work()
        else:
            self._policy.failed_to_start()

    def _fail(self, failure: Exception) -> None:
        """There is no child. Of the first one everything depends; later ones may come up next time."""
        logger.error("the engine's process did not start: %s", failure)
        self._policy.failed_to_start()
        if self._first_ready is None:
            self._failure = failure
            self._closing.set()

    def _pause(self) -> None:
        """Before the next attempt, as long as the policy says; deadlines are kept meanwhile."""
        delay = self._policy.delay_seconds
        if self._policy.is_hopeless and not self.is_closing:
            self._owner.despaired(delay)
        until = time.monotonic() + delay
        while (left := until - time.monotonic()) > 0 and not self._closing.wait(min(left, TICK_SECONDS)):
            self._owner.ticked()


def _stillborn(life: _Life) -> str:
    """Why a child that has said nothing may have died, as far as that can be known."""
    fault = "the engine's process died before its model was loaded"
    if life.is_killed:
        return f"{fault}; what it has written stands in the log before this"
    if life.child.exit_status == -signal.SIGKILL:
        return f"{fault}: it was killed, as the kernel does where memory runs out; give it more"
    status = f"with exit status {life.child.exit_status}"
    return f"{fault}, {status}; what it has written stands in the log before this"
