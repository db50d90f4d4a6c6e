"""What a real server says of its own process and of its engine's, compared with what the kernel says."""

from __future__ import annotations

import os
import signal
import time

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.server_process import PROC, children_of, serve

MODEL = (("model", "en-de"),)
Values = dict[tuple[str, tuple[tuple[str, str], ...]], float]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PROC.is_dir(), reason="there is no /proc here"),
]


def scrape(url: str) -> Values:
    """By name without the prefix, and labels."""
    text = httpx.get(f"{url}/metrics", timeout=60).text
    return {
        (sample.name.removeprefix("verto_"), tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def resident_bytes(pid: int) -> int:
    for line in (PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


def test_memory_time_and_silence_are_those_of_the_processes_also_after_a_death() -> None:
    with serve("--num-threads", "1") as server:
        url = str(server.wait_for_line("ready")["url"])
        (engine,) = children_of(server.process.pid)
        said = scrape(url)
        assert said["api_resident_memory_bytes", ()] == pytest.approx(
            resident_bytes(server.process.pid), rel=0.1
        )
        assert said["engine_resident_memory_bytes", MODEL] == pytest.approx(resident_bytes(engine), rel=0.1)
        assert said["engine_cpu_seconds_total", MODEL] > 0.1
        assert said["engine_threads", MODEL] == len(list((PROC / str(engine) / "task").iterdir()))
        assert abs(time.time() - said["start_time_seconds", ()]) < 120
        assert said["compute_threads", ()] == 1
        assert (said["engine_up", MODEL], said["engine_heartbeat_seconds", MODEL]) == (1, 0)
        assert said["engine_restarts_total", ()] == 0
        os.kill(engine, signal.SIGKILL)
        server.wait_for_line("the engine's process is ready")
        (next_engine,) = children_of(server.process.pid)
        said = scrape(url)
        assert next_engine != engine
        assert said["engine_restarts_total", ()] == 1
        assert said["engine_resident_memory_bytes", MODEL] == pytest.approx(
            resident_bytes(next_engine), rel=0.1
        )


def test_a_stopped_engine_with_work_is_heard_of_as_silence() -> None:
    with serve("--num-threads", "1") as server:
        url = str(server.wait_for_line("ready")["url"])
        (engine,) = children_of(server.process.pid)
        os.kill(engine, signal.SIGSTOP)
        body = {"text": "Good morning.", "source": "en", "target": "de", "timeout_ms": 8000}
        with httpx.Client(timeout=60) as client:
            request = client.build_request("POST", f"{url}/v1/translate", json=body | {"stream": True})
            answer = client.send(request, stream=True)
            time.sleep(1.5)
            assert scrape(url)["engine_heartbeat_seconds", MODEL] > 1
            os.kill(engine, signal.SIGCONT)
            answer.read()
            answer.close()
        assert answer.status_code == 200
        assert scrape(url)["engine_heartbeat_seconds", MODEL] == 0
