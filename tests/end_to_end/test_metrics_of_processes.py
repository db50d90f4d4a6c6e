"""What a real server says of its own process and of its engine's, compared with what the kernel says."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.server_process import PROC, Server, children_of, one_bundle, serve

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


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A server and its address."""
    models = one_bundle(tmp_path_factory.mktemp("models"))
    with serve("--models-dir", str(models), "--num-threads", "1") as one:
        yield one, str(one.wait_for_line("ready")["url"])


@pytest.fixture
def server(started: tuple[Server, str]) -> Server:
    return started[0]


@pytest.fixture
def url(started: tuple[Server, str]) -> str:
    return started[1]


def test_memory_time_and_threads_are_those_of_the_processes(server: Server, url: str) -> None:
    (engine,) = children_of(server.process.pid)
    said = scrape(url)
    own = resident_bytes(server.process.pid)
    assert said["api_resident_memory_bytes", ()] == pytest.approx(own, rel=0.1)
    assert said["engine_resident_memory_bytes", MODEL] == pytest.approx(resident_bytes(engine), rel=0.1)
    assert said["engine_cpu_seconds_total", MODEL] > 0.1
    assert said["engine_threads", MODEL] == len(list((PROC / str(engine) / "task").iterdir()))
    assert said["compute_threads", ()] == 1
    assert abs(time.time() - said["start_time_seconds", ()]) < 600
    assert (said["engine_up", MODEL], said["engine_heartbeat_seconds", MODEL]) == (1, 0)


def test_a_stopped_engine_with_work_is_heard_of_as_silence(server: Server, url: str) -> None:
    (engine,) = children_of(server.process.pid)
    os.kill(engine, signal.SIGSTOP)
    body = {"text": "Good morning.", "source": "en", "target": "de", "stream": True}
    with httpx.Client(timeout=60) as client:
        answer = client.send(client.build_request("POST", f"{url}/v1/translate", json=body), stream=True)
        time.sleep(1.2)
        assert scrape(url)["engine_heartbeat_seconds", MODEL] > 1
        os.kill(engine, signal.SIGCONT)
        answer.read()
    assert answer.status_code == 200
    assert scrape(url)["engine_heartbeat_seconds", MODEL] == 0


def test_after_a_death_the_next_process_is_looked_at(server: Server, url: str) -> None:
    (engine,) = children_of(server.process.pid)
    before = scrape(url)["engine_restarts_total", ()]
    os.kill(engine, signal.SIGKILL)
    server.wait_for_line("the engine's process died")
    server.wait_for_line("the engine's process is ready")
    (following,) = children_of(server.process.pid)
    said = scrape(url)
    assert following != engine
    assert said["engine_restarts_total", ()] == before + 1
    assert said["engine_resident_memory_bytes", MODEL] == pytest.approx(resident_bytes(following), rel=0.1)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_finds_no_fault_in_what_a_real_server_shows(url: str) -> None:
    text = httpx.get(f"{url}/metrics", timeout=60).text
    check = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert (check.returncode, check.stdout + check.stderr) == (0, "")
