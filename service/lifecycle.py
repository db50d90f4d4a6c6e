"""Where the server is in its life: loading, ready, draining; what it serves, and how many requests run.

    loading --(models loaded)--> ready --(SIGTERM)--> leaving --(delay)--> draining --(nothing runs)--> end
       └--(a bundle cannot be loaded)--> failed

Leaving: work is still taken, but whoever asks for readiness hears no, so that balancers send it elsewhere.

Knows phases and counts; must not know HTTP, signals or how models are loaded. Used from the event loop only.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Literal

from service.errors import DRAINING_RETRY_SECONDS, LOADING_RETRY_SECONDS, Draining, Loading
from service.visits import Visit, Visits

if TYPE_CHECKING:  # importing the translator imports torch; the server listens before that
    from service.hosting.hosting import Hosting
    from service.translator import Translator

Phase = Literal["loading", "ready", "leaving", "draining", "failed"]


class Lifecycle:
    """One per server. A translator given at once makes it ready at once."""

    def __init__(self, translator: Translator | None = None) -> None:
        self._translator = translator
        self._hosting: Hosting | None = None
        self.phase: Phase = "loading" if translator is None else "ready"
        self.visits = Visits()
        self._when_draining: list[Callable[[], None]] = []

    @property
    def running_requests(self) -> int:
        """Requests that are being answered, streams included."""
        return len(self.visits)

    @property
    def has_started(self) -> bool:
        """Whether models are in memory, whatever has happened since."""
        return self._translator is not None

    @property
    def is_ready(self) -> bool:
        """Whether new work is taken, by every model."""
        return self.phase == "ready" and self._translator is not None and self._translator.is_available

    @property
    def is_going(self) -> bool:
        """Whether the server has been told to end: nobody should count on it, or on a connection to it."""
        return self.phase in ("leaving", "draining")

    @property
    def loaded(self) -> Translator | None:
        """The translator of the moment as soon as there is one, also while draining. Whoever asks for it once
        and keeps it sees the same models to the end, whatever is loaded and unloaded meanwhile."""
        return self._translator

    def ready(self, translator: Translator, hosting: Hosting | None = None) -> None:
        """Models are in memory; `hosting` can change which. A drain that has begun meanwhile goes on."""
        self._translator, self._hosting = translator, hosting
        if self.phase == "loading":
            self.phase = "ready"

    def replace(self, translator: Translator) -> None:
        """Other models are served from now on. Whoever has the translator before goes on with that."""
        self._translator = translator

    def fail(self) -> None:
        """Models cannot be loaded; the server is about to end."""
        self.phase = "failed"

    def require_translator(self) -> Translator:
        """What new work goes to. Raises Loading or Draining."""
        if self.phase == "draining":
            detail = "The server is shutting down; another one may answer."
            raise Draining(detail, retry_after_seconds=DRAINING_RETRY_SECONDS)
        if self._translator is None:
            detail = "The server is still loading its models."
            raise Loading(detail, retry_after_seconds=LOADING_RETRY_SECONDS)
        return self._translator

    @property
    def hosting(self) -> Hosting | None:
        """What can load and unload models, as soon as there is one."""
        return self._hosting

    def require_hosting(self) -> Hosting:
        """What can load and unload models. Raises Loading or Draining."""
        self.require_translator()
        assert self._hosting is not None, "this server was put together without"
        return self._hosting

    def request(self) -> AbstractContextManager[Visit]:
        """Counts one request for as long as it is being answered, its stream included."""
        return self.visits.visit()

    def begin_leaving(self) -> None:
        """Say that no new work should come, and take what comes nevertheless."""
        self.phase = "leaving"

    def begin_draining(self) -> None:
        """Refuse new work from now on."""
        self.phase = "draining"
        for call in self._when_draining:
            call()

    def when_draining(self, call: Callable[[], None]) -> None:
        """Have this called once new work is refused."""
        self._when_draining.append(call)

    async def wait_until_idle(self, timeout_seconds: float) -> bool:
        """Wait for the last running request; False when some still run after `timeout_seconds`."""
        return await self.visits.wait_until_none(timeout_seconds)
