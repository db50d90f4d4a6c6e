"""Clients that go away, deadlines that pass, servers that drain: over the network, steps counted.

The engine is held before each step, so "within one step" is a number: of steps done after a client had gone.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.end_to_end.live_server import LiveServer, live_server
from tests.service.held_service import ENDLESS, HeldService, held_service

SECONDS = 20.0  # nothing here takes so long, unless it hangs


@contextmanager
def served(folder: Path, **options: Any) -> Iterator[tuple[HeldService, LiveServer]]:
    with held_service(folder / "model", **options) as service, live_server(service.app) as server:
        try:
            yield service, server
        finally:
            service.gate.open()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def wait_for_step(service: HeldService) -> None:
    """Until the engine stands before a step."""
    assert service.gate.arrived.acquire(timeout=SECONDS)


def ask(server: LiveServer, **body: Any) -> socket.socket:
    """Send a request and read no more of its answer than the test wants."""
    host, port = server.listener.getsockname()[:2]
    content = json.dumps({"text": "Ba de fi.", "source": "en", **ENDLESS, **body}).encode()
    head = f"POST /v1/translate HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n\r\n"
    connection = socket.create_connection((host, port), timeout=SECONDS)
    connection.sendall(head.encode() + content)
    return connection


def post(server: LiveServer, **body: Any) -> httpx.Response:
    body = {"text": "Ba de fi.", "source": "en", **ENDLESS, **body}
    return httpx.post(f"{server.url}/v1/translate", json=body, timeout=SECONDS, trust_env=False)


def steps(service: HeldService) -> float:
    return service.value("batch_rows_count", phase="decode")


def answers(service: HeldService, code: int, pair: str = "en-de") -> float:
    return service.value("requests_total", route="/v1/translate", pair=pair, code=str(code))


@pytest.mark.parametrize("coalesce", [True, False])
@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_away_frees_its_rows_within_one_step(
    tmp_path: Path, stream: bool, coalesce: bool
) -> None:
    with served(tmp_path, coalesce=coalesce) as (service, server):
        connection = ask(server, stream=stream)
        wait_for_step(service)
        service.gate.pass_one()
        wait_for_step(service)
        assert (steps(service), service.engine.snapshot().running_rows) == (1, 1)
        connection.close()
        until(lambda: answers(service, 499) == 1)
        service.gate.pass_one()  # the step at hand; there is no other
        until(lambda: service.value("cancelled_total", stage="running") == 1)
        assert steps(service) == 2
        assert service.engine.snapshot().running_rows == 0
        assert service.engine.snapshot().cache_bytes_used == 0


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_away_while_it_waits_leaves_the_queue_at_once(
    tmp_path: Path, stream: bool
) -> None:
    with served(tmp_path, max_rows=1) as (service, server):
        running = ask(server)
        wait_for_step(service)
        waiting = ask(server, text="Go hu.", stream=stream)
        until(lambda: service.engine.snapshot().queue_segments == 1)
        waiting.close()
        until(lambda: service.engine.snapshot().queue_segments == 0)
        assert steps(service) == 0  # no step was needed
        running.close()


def test_whoever_shares_a_computation_goes_on_when_the_other_goes_away(tmp_path: Path) -> None:
    with served(tmp_path) as (service, server), ThreadPoolExecutor() as pool:
        leaving = ask(server)
        wait_for_step(service)
        staying = pool.submit(post, server)
        until(lambda: service.value("coalesced_total") == 1)
        leaving.close()
        until(lambda: answers(service, 499) == 1)
        service.gate.open()
        answer = staying.result(SECONDS)
        assert (answer.status_code, answer.json()["usage"]["target_tokens"]) == (200, 64)
        assert steps(service) == 64
        assert service.value("cancelled_total", stage="running") == 0


@pytest.mark.parametrize("coalesce", [True, False])
def test_a_deadline_that_passes_is_504_and_frees_the_rows_within_one_step(
    tmp_path: Path, coalesce: bool
) -> None:
    with served(tmp_path, coalesce=coalesce) as (service, server), ThreadPoolExecutor() as pool:
        answer = pool.submit(post, server, timeout_ms=300)
        wait_for_step(service)
        # Answered although the engine stands still.
        assert (answer.result(SECONDS).status_code, answer.result().json()["code"]) == (
            504,
            "deadline_passed",
        )
        service.gate.pass_one()
        until(lambda: service.engine.snapshot().running_rows == 0)
        assert steps(service) == 1
        assert service.engine.snapshot().cache_bytes_used == 0


@pytest.mark.parametrize("coalesce", [True, False])
def test_a_deadline_that_passes_in_the_queue_is_504_and_the_place_is_free(
    tmp_path: Path, coalesce: bool
) -> None:
    with served(tmp_path, max_rows=1, coalesce=coalesce) as (service, server), ThreadPoolExecutor() as pool:
        running = pool.submit(post, server)
        wait_for_step(service)
        waiting = pool.submit(post, server, text="Go hu.", timeout_ms=300)
        answer = waiting.result(SECONDS)
        assert (answer.status_code, answer.json()["code"]) == (504, "deadline_passed")
        until(lambda: service.engine.snapshot().queue_segments == 0)
        service.gate.open()
        assert running.result(SECONDS).status_code == 200
        assert service.value("batch_rows_sum", phase="encode") == 1  # the other never joined


def test_a_stream_whose_deadline_passes_ends_with_an_error_in_band(tmp_path: Path) -> None:
    with served(tmp_path) as (service, server), ThreadPoolExecutor() as pool:
        answer = pool.submit(post, server, timeout_ms=300, stream=True)
        wait_for_step(service)
        body = answer.result(SECONDS).text
        assert body.count("event: error") == 1
        assert '"deadline_passed"' in body
        until(lambda: answers(service, 504) == 1)  # counted once the answer has gone out


def test_draining_finishes_what_was_accepted_and_refuses_new_work(tmp_path: Path) -> None:
    with served(tmp_path, max_rows=1) as (service, server), ThreadPoolExecutor() as pool:
        accepted = [pool.submit(post, server)]
        wait_for_step(service)
        accepted.append(pool.submit(post, server, text="Go hu.", stream=True))
        until(lambda: service.engine.snapshot().queue_segments == 1)
        service.lifecycle.begin_draining()
        assert server.loop is not None
        drained = asyncio.run_coroutine_threadsafe(service.translator.drain(), server.loop)
        refused = post(server)
        assert (refused.status_code, refused.json()["code"]) == (503, "draining")
        assert refused.headers["retry-after"] == "5"
        assert not drained.done()
        service.gate.open()
        whole, stream = (one.result(SECONDS) for one in accepted)
        assert whole.json()["usage"]["target_tokens"] == 64
        assert stream.text.count("event: done") == 1
        drained.result(SECONDS)
        assert service.value("rejected_total", reason="draining") == 1
