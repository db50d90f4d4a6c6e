"""`kill -9` of the engine's process under load, twenty times: no answer is lost, no stream is falsified."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import signal
import statistics
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server_process import PATIENCE, PROC, Server, children_of, is_alive, one_bundle, serve
from tests.service.http_client import read_events, streamed_texts

logger = logging.getLogger(__name__)

KILLS = 20
CLIENTS = 12
TEXTS = [
    "Good morning.",
    "The house is old.",
    "Where can I buy a ticket for the train to the city?",
    "She has been working in the garden since early in the morning, and now she is tired.",
    "The committee decided yesterday that the new rules will apply from the first of January.",
    "It is raining. We should stay at home and read a good book.",
]
OPTIONS: list[dict[str, Any]] = [
    {"strategy": "greedy"},
    {"beam_size": 4},
    {"beam_size": 2},
    {"strategy": "sample", "seed": 7, "top_k": 20},
]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (PROC / "self" / "stat").exists(), reason="processes are found through /proc"),
]


@dataclass
class Load:
    """Clients that ask and compare, one request after the other, until `is_over`."""

    client: httpx.AsyncClient
    expected: dict[tuple[int, int], str] = field(default_factory=dict)
    answered: list[int] = field(default_factory=lambda: [0] * CLIENTS)
    kills: list[float] = field(default_factory=list)
    broken_streams: int = 0
    streams_through_a_kill: int = 0
    is_over: bool = False

    async def learn(self) -> None:
        """What an undisturbed engine answers."""
        for text in range(len(TEXTS)):
            for option in range(len(OPTIONS)):
                self.expected[text, option] = await self._whole(text, option)

    async def run(self, number: int) -> None:
        rng = random.Random(number)
        while not self.is_over:
            text, option = rng.randrange(len(TEXTS)), rng.randrange(len(OPTIONS))
            if rng.random() < 0.5:
                assert await self._whole(text, option) == self.expected[text, option]
            else:
                await self._stream(text, option)
            self.answered[number] += 1

    def _body(self, text: int, option: int) -> dict[str, Any]:
        return {"text": TEXTS[text], "source": "en", "target": "de", "timeout_ms": 600_000, **OPTIONS[option]}

    async def _whole(self, text: int, option: int) -> str:
        response = await self.client.post("/v1/translate", json=self._body(text, option))
        assert response.status_code == 200, response.text
        return str(response.json()["translations"][0]["text"])

    async def _stream(self, text: int, option: int) -> None:
        begun = time.time()
        response = await self.client.post("/v1/translate", json={**self._body(text, option), "stream": True})
        assert response.status_code == 200, response.text
        events = read_events(response.text)
        (streamed,) = streamed_texts(events, 1)
        self.streams_through_a_kill += any(begun < kill for kill in self.kills)
        if events[-1].name == "error":
            problem = events[-1].data
            assert (problem["status"], problem["code"]) == (503, "engine_down")
            assert problem["retry_after_seconds"] >= 1
            assert self.expected[text, option].startswith(streamed)
            self.broken_streams += 1
        else:
            assert events[-1].name == "done"
            assert streamed == self.expected[text, option]

    async def wait_for_answers(self, *, of_all: bool) -> None:
        """Until every client has been answered, or one of them."""
        before = list(self.answered)
        enough = all if of_all else any
        while not enough(now > then for now, then in zip(self.answered, before, strict=True)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def next_engine(server: Server, dead: int) -> int:
    """The process that takes the place of the dead one."""
    while True:
        found = [pid for pid in children_of(server.process.pid) if pid != dead]
        if found:
            return found[0]
        await asyncio.sleep(0.005)


async def kill_again_and_again(server: Server, load: Load) -> list[int]:
    """Kill the engine at work; all the processes that it had."""
    rng = random.Random(0)
    (engine,) = children_of(server.process.pid)
    engines = [engine]
    for number in range(KILLS):
        # Every other time before all those have been answered who were there at the death before.
        await load.wait_for_answers(of_all=number % 2 == 0)
        await asyncio.sleep(rng.uniform(0.0, 0.3))
        load.kills.append(time.time())
        os.kill(engine, signal.SIGKILL)
        engine = await asyncio.wait_for(next_engine(server, engine), PATIENCE)
        engines.append(engine)
    return engines


def notice_seconds(server: Server, kills: list[float]) -> list[float]:
    """From each kill to the server's own word of it."""
    lines = [json.loads(line) for line in server.lines if "the engine's process died" in line]
    noticed = [datetime.fromisoformat(line["time"]).timestamp() for line in lines]
    return [notice - kill for notice, kill in zip(noticed, kills, strict=True)]


async def scenario(server: Server, url: str) -> tuple[Load, list[int]]:
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as client:
        load = Load(client)
        await load.learn()
        clients = [asyncio.create_task(load.run(number)) for number in range(CLIENTS)]
        killing = asyncio.create_task(kill_again_and_again(server, load))
        await asyncio.wait([killing, *clients], return_when=asyncio.FIRST_COMPLETED)
        load.is_over = True
        if not killing.done():  # a client has found something wrong: let it say what
            killing.cancel()
        await asyncio.gather(*clients)
        engines = await killing
        metrics = (await client.get("/metrics")).text.splitlines()
        assert f"verto_engine_restarts_total {KILLS}.0" in metrics
        assert "verto_ready 1.0" in metrics
        assert "verto_queue_tokens 0.0" in metrics
        assert "verto_running_rows 0.0" in metrics
        return load, engines


def test_no_answer_is_lost_and_no_stream_is_changed(tmp_path: Path) -> None:
    with serve("--models-dir", str(one_bundle(tmp_path)), "--num-threads", "1") as server:
        url = str(server.wait_for_line("ready")["url"])
        load, engines = asyncio.run(scenario(server, url))
        server.process.send_signal(signal.SIGTERM)
        assert server.end() == 0
    noticed = notice_seconds(server, load.kills)
    assert max(noticed) < 1.0
    assert load.streams_through_a_kill > 0
    assert not any(map(is_alive, engines))
    logger.info(
        "%d answers; %d streams through a kill, %d broken off; noticed within %.3f s, median %.3f s",
        sum(load.answered),
        load.streams_through_a_kill,
        load.broken_streams,
        max(noticed),
        statistics.median(noticed),
    )
