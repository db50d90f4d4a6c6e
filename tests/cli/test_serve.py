"""`verto serve` as a process, with a real bundle: from the first line to the end."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.builders import tiny_bundle, tiny_info
from tests.server_process import PATIENCE, ROOT, children_of, is_alive, serve
from tests.service.http_client import read_events


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny_bundle(folder / "tiny", info=tiny_info(name="tiny-en-de"))
    return folder


def test_it_starts_translates_and_drains_a_running_stream_on_ctrl_c(models_dir: Path) -> None:
    options = ["--num-threads", "1", "--drain-timeout-seconds", "170"]
    with serve("--models-dir", str(models_dir), *options) as server:
        url = str(server.wait_for_line("listening; loading models")["url"])
        assert httpx.get(url + "/health/live", timeout=PATIENCE).status_code == 200
        ready = server.wait_for_line("ready")
        assert ready["models"] == ["tiny-en-de 1 on cpu"]
        assert ready["threads"] == 1
        assert ready["url"] == url
        assert httpx.get(url + "/health/ready", timeout=PATIENCE).status_code == 200
        answer = httpx.post(url + "/v1/translate", json={"text": "Ba de fi."}, timeout=PATIENCE).json()
        assert (answer["model"], answer["source"], answer["target"]) == ("tiny-en-de", "en", "de")
        assert answer["usage"]["target_tokens"] > 0
        # Enough work that the signal comes while most of it is still waiting.
        body = {"text": "Ba de fi go hu. " * 100, "source": "en", "stream": True, "timeout_ms": 600_000}
        with httpx.stream("POST", url + "/v1/translate", json=body, timeout=PATIENCE) as response:
            received = response.iter_text()
            first = next(received)
            (engine,) = children_of(server.process.pid)
            os.killpg(server.process.pid, signal.SIGINT)  # as a terminal does: to all of the group
            events = read_events(first + "".join(received))
        assert events[-1].name == "done"
        assert sum(event.name == "segment" for event in events) == 100
        assert server.end() == 0
        assert not is_alive(engine)
        draining = [line for line in server.lines if "draining" in line]
        assert json.loads(draining[0])["running_requests"] == 1
        assert not [line for line in server.lines if "Traceback" in line]


def wait_until_dead(*pids: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while any(map(is_alive, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_sigterm_while_loading_ends_it_cleanly(models_dir: Path) -> None:
    with serve("--models-dir", str(models_dir)) as server:
        server.wait_for_line("listening; loading models")
        server.process.send_signal(signal.SIGTERM)
        assert server.end() == 0


@pytest.mark.parametrize("moment", ["loading", "ready"])
def test_a_server_that_is_killed_leaves_no_process_behind(models_dir: Path, moment: str) -> None:
    with serve("--models-dir", str(models_dir), "--num-threads", "1") as server:
        server.wait_for_line("listening; loading models" if moment == "loading" else "ready")
        while not (engines := children_of(server.process.pid)):
            time.sleep(0.01)
        server.process.kill()
        server.process.wait(PATIENCE)
        wait_until_dead(*engines)


def test_signals_to_all_processes_of_the_server_are_the_servers_alone(models_dir: Path) -> None:
    with serve("--models-dir", str(models_dir), "--num-threads", "1") as server:
        url = str(server.wait_for_line("ready")["url"])
        (engine,) = children_of(server.process.pid)
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(engine, number)
        answer = httpx.post(url + "/v1/translate", json={"text": "Ba de fi."}, timeout=PATIENCE)
        assert answer.status_code == 200
        assert children_of(server.process.pid) == [engine]
        os.killpg(server.process.pid, signal.SIGTERM)
        assert server.end() == 0
        assert not is_alive(engine)


def test_the_engine_may_run_in_the_server_itself(models_dir: Path) -> None:
    arguments = ["--models-dir", str(models_dir), "--num-threads", "1", "--engine", "thread"]
    with serve(*arguments) as server:
        url = str(server.wait_for_line("ready")["url"])
        answer = httpx.post(url + "/v1/translate", json={"text": "Ba de fi."}, timeout=PATIENCE)
        assert answer.status_code == 200
        assert children_of(server.process.pid) == []


def refused(*arguments: str) -> str:
    """The only line that a server that cannot start leaves besides its log."""
    with serve(*arguments) as server:
        assert server.end() == 2
    (line,) = [line for line in server.lines if not line.startswith("{")]
    return line


def test_a_port_in_use_is_one_line_with_the_way_out(models_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused("--port", str(port), "--models-dir", str(models_dir))
    assert (
        line
        == f"verto: port {port} is in use on 127.0.0.1; stop what uses it, or choose another with --port\n"
    )


def test_a_folder_without_a_bundle_is_one_line_with_the_way_out(tmp_path: Path) -> None:
    line = refused("--models-dir", str(tmp_path / "empty"))
    assert line.startswith(f"verto: {tmp_path / 'empty'}: no such folder; ")
    assert "verto train" in line
    assert "--models-dir" in line


@pytest.mark.parametrize("file", ["tokenizer.model", "model.safetensors"])
def test_a_broken_bundle_is_one_line_that_names_file_and_fault(tmp_path: Path, file: str) -> None:
    tiny_bundle(tmp_path / "tiny")
    (tmp_path / "tiny" / file).write_bytes(b"changed")
    assert refused("--models-dir", str(tmp_path)).startswith(f"verto: {tmp_path / 'tiny' / file}: ")


def test_settings_are_shown_with_their_source_and_nothing_is_started() -> None:
    command = [sys.executable, "-m", "cli.main", "serve", "--show-settings", "--port", "9009"]
    environment = {**os.environ, "VERTO_MAX_TEXTS": "7", "COLUMNS": "200"}
    started = time.monotonic()
    shown = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=PATIENCE
    ).stdout
    assert time.monotonic() - started < PATIENCE
    rows = [[cell.strip() for cell in line.split("│")[1:4]] for line in shown.splitlines() if "│" in line]
    assert ["port", "9009", "command line"] in rows
    assert ["max_texts", "7", "environment VERTO_MAX_TEXTS"] in rows
    assert any(re.fullmatch(r"heartbeat_seconds 15.0 default", " ".join(row)) for row in rows)
