"""Refusals over the network: as many connections as come, none made to wait for a thread or for another."""

from __future__ import annotations

import asyncio
import inspect
import json

from fastapi.routing import APIRoute

from service import operations
from service import routes as native
from service.app import create_app
from service.settings import Settings
from tests.end_to_end.live_server import LiveServer, live_server
from tests.fakes import FakeEngine, fake_translator, served_model

ROUTERS = (native.router, operations.router)
NUM_CONNECTIONS = 300  # both ends lie in this process, which may have as few as 1,024 open files


def full_engine() -> FakeEngine:
    engine = FakeEngine()
    engine.queue_tokens, engine.tokens_per_second = engine.max_queue_tokens, 1_000_000.0
    return engine


async def head_of_answer(server: LiveServer, everybody_is_there: asyncio.Barrier) -> str:
    """Connect, wait until all others have as well, ask, and leave."""
    reader, writer = await asyncio.open_connection(*server.listener.getsockname()[:2])
    await everybody_is_there.wait()
    body = json.dumps({"text": "Hello.", "source": "en"}).encode()
    writer.write(b"POST /v1/translate HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return head.decode().lower()


def test_hundreds_of_connections_at_once_are_all_refused_with_a_time_to_come_again() -> None:
    app = create_app(fake_translator(served_model(full_engine())), Settings())

    async def run(server: LiveServer) -> list[str]:
        barrier = asyncio.Barrier(NUM_CONNECTIONS)
        return await asyncio.gather(*(head_of_answer(server, barrier) for _ in range(NUM_CONNECTIONS)))

    with live_server(app) as server:
        heads = asyncio.run(run(server))
    assert len(heads) == NUM_CONNECTIONS
    assert all(head.startswith("http/1.1 429 ") and "\r\nretry-after: 1\r\n" in head for head in heads)


def test_no_route_needs_a_thread() -> None:
    """FastAPI runs plain functions in threads: a hop there and back for every request, refusals included."""
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    calls = [call.call for route in routes for call in (route.dependant, *route.dependant.dependencies)]
    assert len(routes) >= 8
    assert [call for call in calls if not inspect.iscoroutinefunction(call)] == []
