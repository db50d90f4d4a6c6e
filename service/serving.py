"""Runs the server: binds the port, loads in the background, drains on a signal, says how it ended.

    bind -> listen (503: loading) -> models in memory (200) -> first SIGTERM or Ctrl-C: drain -> exit code 0
                                                               second one: stop at once

A balancer hears of a SIGTERM only by its next health check; so the drain begins after `drain_delay_seconds`,
in which requests are still answered. Ctrl-C comes from a person, who need not wait for balancers.

Knows the web server, signals and threads; must not know what is served.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import logging
import signal
import socket
import threading
from collections.abc import Callable
from contextvars import Context
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI

from service.http_protocol import bounded_protocol
from service.lifecycle import Lifecycle
from service.open_files import allow_many_open_files
from service.settings import Settings

if TYPE_CHECKING:  # importing it takes its time; the server listens before that
    from service.hosting.hosting import Hosting
    from service.translator import Translator

logger = logging.getLogger(__name__)

BACKLOG = 2048
KEEP_ALIVE_SECONDS = 75
# New objects, where Python takes 700. A request has hundreds until it is answered and leaves no cycle among
# them, so a search finds nothing, and with a thousand that wait it takes a tenth of a second from each other.
COLLECT_AFTER = 100_000


class ServeError(Exception):
    """The server cannot start; the message says why and what to do."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ServeError when the address is taken, forbidden or unknown."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # `localhost` may name both; IPv4 is what the other side tries in the end.
        family, kind, protocol, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
        with contextlib.ExitStack() as on_failure:
            listener = on_failure.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
            on_failure.pop_all()
    except UnicodeError:  # raised before anybody is asked
        fault = f"cannot listen on {host!r}, port {port}: no name of a host; choose another --host"
        raise ServeError(fault) from None
    except OSError as error:
        raise ServeError(_bind_fault(host, port, error)) from None
    return listener


def address_of(listener: socket.socket) -> str:
    """The URL at which the socket is reached."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class DrainingServer(uvicorn.Server):
    """Answers on while it drains, so that health checks see it go and accepted requests are finished."""

    def __init__(
        self,
        config: uvicorn.Config,
        settings: Settings,
        lifecycle: Lifecycle,
        loader: Callable[[], Hosting],
    ) -> None:
        super().__init__(config)
        self._settings = settings
        self._lifecycle = lifecycle
        self._loader = loader
        self._url = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._was_signalled = False
        self._hosting: Hosting | None = None
        self._draining: asyncio.Task[None] | None = None
        self.failure: BaseException | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then load."""
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self._url = address_of(sockets[0]) if sockets else ""
        logger.info("listening; loading models", extra={"url": self._url})
        # A daemon: a server that is told to stop while it loads need not wait for that.
        threading.Thread(target=self._load, name="verto-loading", daemon=True).start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal drains, the second ends at once. Runs between two bytecodes of the main thread."""
        if self._was_signalled or self._loop is None:
            self.force_exit = self.should_exit = True
        else:
            delay = self._settings.drain_delay_seconds if sig == signal.SIGTERM else 0.0
            # A request may be under way in this very moment: nothing of this is logged under its id.
            self._loop.call_soon_threadsafe(self._begin_draining, delay, context=Context())
        self._was_signalled = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the port, then the engines."""
        await super().shutdown(sockets)
        if self._hosting is not None:
            await asyncio.to_thread(self._hosting.close)

    def _load(self) -> None:
        assert self._loop is not None
        try:
            hosting = self._loader()
            translator = hosting.translator()
            _keep_what_is_loaded()
        except BaseException as error:
            self._to_loop(partial(self._fail, error))
        else:
            self._to_loop(partial(self._ready, hosting, translator))

    def _to_loop(self, call: Callable[[], None]) -> None:
        """Call on the event loop; it may have ended meanwhile, and then nobody minds."""
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call)

    def _ready(self, hosting: Hosting, translator: Translator) -> None:
        self._hosting = hosting
        self._lifecycle.ready(translator, hosting)
        models = [f"{model.name} {model.version} on {model.device}" for model in translator.registry.models]
        extra = {"url": self._url, "models": models, "threads": self._settings.num_threads}
        logger.info("ready", extra=extra)
        hosting.begin()

    def _fail(self, error: BaseException) -> None:
        self.failure = error
        self._lifecycle.fail()
        self.should_exit = True

    def _begin_draining(self, delay_seconds: float) -> None:
        self._draining = asyncio.get_running_loop().create_task(self._drain(delay_seconds))

    async def _drain(self, delay_seconds: float) -> None:
        if delay_seconds and self._lifecycle.is_ready:
            logger.info(
                "leaving; a second signal stops at once", extra={"drain_delay_seconds": delay_seconds}
            )
            self._lifecycle.begin_leaving()
            await asyncio.sleep(delay_seconds)
        running = self._lifecycle.running_requests
        logger.info("draining; a second signal stops at once", extra={"running_requests": running})
        self._lifecycle.begin_draining()
        if self._hosting is not None:
            self._hosting.begin_closing()
        if not await self._lifecycle.wait_until_idle(self._settings.drain_timeout_seconds):
            logger.warning("drain timeout", extra={"running_requests": self._lifecycle.running_requests})
            self.force_exit = True
        self.should_exit = True


def web_config(app: FastAPI, read_timeout_seconds: float) -> uvicorn.Config:
    """How the web server is to run: no log of its own, connections kept open, the fast parser and loop."""
    return uvicorn.Config(
        app,
        http=bounded_protocol(read_timeout_seconds),
        ws="none",
        loop="auto",  # uvloop where there is one: not on Windows
        access_log=False,
        log_config=None,
        lifespan="off",
        server_header=False,
        proxy_headers=False,  # nothing here depends on the client's address or scheme
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        backlog=BACKLOG,
    )


def serve(app: FastAPI, settings: Settings, lifecycle: Lifecycle, loader: Callable[[], Hosting]) -> bool:
    """Serve until a signal ends it; False when accepted requests had to be given up.

    Raises ServeError, and whatever kept `loader` from loading.
    """
    allow_many_open_files()
    listener = bind(settings.host, settings.port)
    server = DrainingServer(web_config(app, settings.read_timeout_seconds), settings, lifecycle, loader)
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])
    if server.failure is not None:
        raise server.failure
    return not server.force_exit


def _keep_what_is_loaded() -> None:
    """Spare the collector the modules and models that stay for good: each full search of their hundreds of
    thousands of objects would hold up every request for a tenth of a second, at busy times for longer."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, *gc.get_threshold()[1:])


def _bind_fault(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is in use on {host}; stop what uses it, or choose another with --port"
    if error.errno == errno.EACCES:
        return f"port {port} may not be used by this user; choose one above 1023 with --port"
    return f"cannot listen on {host}, port {port}: {error.strerror or error}; choose another --host"
