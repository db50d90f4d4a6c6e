"""A real web server on a free port, in a thread, for tests that come over the network.

Knows uvicorn and threads; must not know what is served.
"""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from service.serving import address_of, bind, web_config

START_SECONDS = 30.0


class LiveServer(uvicorn.Server):
    """Runs until its `with` block is left; `url` has no slash at its end."""

    def __init__(self, app: FastAPI, read_timeout_seconds: float) -> None:
        config = web_config(app, read_timeout_seconds)
        config.timeout_graceful_shutdown = 1  # seconds
        super().__init__(config)
        self.listener = bind("127.0.0.1", 0)
        self.url = address_of(self.listener)
        self.loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        await super().startup(sockets)

    def wait_until_started(self, thread: threading.Thread) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self.started:
            assert thread.is_alive(), "the server ended before it had started"
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.01)


@contextmanager
def live_server(app: FastAPI, read_timeout_seconds: float = START_SECONDS) -> Iterator[LiveServer]:
    """The app on a port of its own for as long as the block lasts."""
    server = LiveServer(app, read_timeout_seconds)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [server.listener]}, daemon=True)
    thread.start()
    try:
        server.wait_until_started(thread)
        yield server
    finally:
        server.should_exit = True
        thread.join(START_SECONDS)
        assert not thread.is_alive(), "the server did not stop"
