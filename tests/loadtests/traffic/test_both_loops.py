"""Whoever sends it, locust's users or the open loop: what a server does is told the same way."""

from __future__ import annotations

import asyncio
import csv
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from loadtests.machine import ROOT
from loadtests.traffic.address import read_address
from loadtests.traffic.columns import decoded
from loadtests.traffic.kinds import BATCH, STREAM, TRANSLATE, read_mix
from loadtests.traffic.locust_window import locust_window
from loadtests.traffic.plan import Asking
from loadtests.traffic.requests import Direction, Traffic
from loadtests.traffic.samples import DONE, FAILED, REFUSED, Sample
from loadtests.traffic.sender import Sender
from loadtests.traffic.windows import CLOSED, Level
from loadtests.workload import made_up
from tests.loadtests.traffic.fake_server import TOKENS, FakeServer, running

PATIENCE_SECONDS = 1.0
SENTENCES = 200


def by_open_loop(server: FakeServer, kind: str, count: int, tmp_path: Path) -> list[Sample]:
    traffic = Traffic(read_mix(kind), made_up(SENTENCES), Direction("en", "de"))

    async def run() -> list[Sample]:
        sender = Sender(read_address(server.url), traffic, PATIENCE_SECONDS)
        began = time.perf_counter()
        samples = [await sender.send(number, began, time.perf_counter() - began) for number in range(count)]
        sender.close()
        return samples

    return asyncio.run(asyncio.wait_for(run(), 20))


def by_locust(server: FakeServer, kind: str, count: int, tmp_path: Path) -> list[Sample]:
    path = tmp_path / "samples.json"
    done = locust(server, kind, "10s", "--samples", str(path), "--think-seconds", "0.001")
    assert path.exists(), done.stderr
    return decoded(json.loads(path.read_text())["samples"])[:count]


def locust(server: FakeServer, kind: str, run_time: str, *options: str) -> subprocess.CompletedProcess[str]:
    """One user, for so long."""
    command = [
        sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", "--host", server.url, "--headless",
        "-u", "1", "-r", "1", "-t", run_time, "--request-timeout", str(PATIENCE_SECONDS), *options,
        kind.capitalize(),
    ]  # fmt: skip
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


Loop = Callable[[FakeServer, str, int, Path], list[Sample]]
LOOPS = pytest.mark.parametrize("loop", [by_open_loop, by_locust])

MISBEHAVIOUR = {
    TRANSLATE: {
        "well": (DONE, ""),
        "429": (REFUSED, "status 429"),
        "503": (REFUSED, "status 503"),
        "500": (FAILED, "status 500"),
        "504": (FAILED, "status 504"),
        "cut": (FAILED, "cut off"),
        "malformed": (FAILED, "malformed answer"),
        "no number": (FAILED, "malformed answer"),
        "deep": (FAILED, "malformed answer"),
        "hang up": (FAILED, "no connection"),
        "stall": (FAILED, "timed out"),
        "drip": (FAILED, "timed out"),
        "well again": (DONE, ""),
    },
    STREAM: {
        "well": (DONE, ""),
        "429": (REFUSED, "status 429"),
        "cut": (FAILED, "cut off"),
        "reset": (FAILED, "cut off"),
        "end without done": (FAILED, "cut off"),
        "no last chunk": (DONE, ""),  # all that was to be said was said
        "error": (FAILED, "error event: deadline_passed"),
        "stall midway": (FAILED, "timed out"),
        "comments for ever": (FAILED, "timed out"),
        "well again": (DONE, ""),
    },
}


@pytest.mark.slow
@LOOPS
@pytest.mark.parametrize("kind", [TRANSLATE, STREAM])
def test_what_a_server_does_is_told_by_its_name(loop: Loop, kind: str, tmp_path: Path) -> None:
    hows = list(MISBEHAVIOUR[kind])
    with running(FakeServer(lambda number, body: hows[number % len(hows)], pause_seconds=0.02)) as server:
        samples = loop(server, kind, len(hows), tmp_path)
    assert (
        dict(zip(hows, [(one.outcome, one.verdict.fault) for one in samples], strict=True))
        == (MISBEHAVIOUR[kind])
    )
    assert all(sample.kind == kind and sample.latency < 3 * PATIENCE_SECONDS for sample in samples)


@pytest.mark.slow
def test_every_request_of_users_has_a_sample_however_late_the_server_is() -> None:
    asking = Asking(traffic="translate=1", timeout_seconds=PATIENCE_SECONDS)
    with running(FakeServer(lambda number, body: "drip")) as server:
        seen = locust_window(read_address(server.url), asking, Level(CLOSED, 3), 3.0, 0.0, 0)
        assert len(seen.samples) == len(server.bodies) > 0
    assert {one.verdict.fault for one in seen.samples} == {"timed out"}


def test_a_head_without_an_end_is_one_failure_and_no_end_of_the_load(tmp_path: Path) -> None:
    hows = ["endless head", "well"]
    with running(FakeServer(lambda number, body: hows[number])) as server:
        samples = by_open_loop(server, TRANSLATE, 2, tmp_path)
    assert [one.outcome for one in samples] == [FAILED, DONE]


def test_a_translation_too_few_is_a_failure(tmp_path: Path) -> None:
    with running(FakeServer(lambda number, body: "lose one")) as server:
        (sample,) = by_open_loop(server, BATCH, 1, tmp_path)
    assert sample.outcome == FAILED
    assert "translations of" in sample.verdict.fault


def test_a_streams_times_are_those_of_its_events(tmp_path: Path) -> None:
    with running(FakeServer()) as server:
        (sample,) = by_open_loop(server, STREAM, 1, tmp_path)
    assert len(sample.arrivals) == sample.verdict.target_tokens == TOKENS
    assert sample.first_text is not None
    assert 0.04 < sample.first_text < 1.0
    assert all(0.02 < gap < 1.0 for gap in sample.gaps)
    assert sample.latency >= sample.arrivals[-1] - sample.due > 0.2
    assert sample.seconds_per_token == pytest.approx(sum(sample.gaps) / (TOKENS - 1))


def test_locusts_own_statistics_book_a_stream_at_its_end_and_no_refusal_as_a_failure(tmp_path: Path) -> None:
    with running(FakeServer(lambda number, body: "503" if number == 1 else "well")) as server:
        done = locust(server, STREAM, "4s", "--csv", str(tmp_path / "booked"))
    assert done.returncode == 0, done.stderr
    with (tmp_path / "booked_stats.csv").open() as lines:
        rows = {row["Name"]: row for row in csv.DictReader(lines)}
    assert float(rows[STREAM]["Min Response Time"]) > 1000 * 0.05 * TOKENS
    assert float(rows["stream: duration"]["Min Response Time"]) > 1000 * 0.05 * TOKENS
    assert 40 < float(rows["stream: first token"]["Median Response Time"]) < 1000
    assert 40 < float(rows["stream: between tokens"]["Median Response Time"]) < 1000
    assert rows["stream: refused (status 503)"]["Request Count"] == "1"
    assert server.moments[2] - server.moments[1] >= 1.0  # Retry-After
    assert rows["Aggregated"]["Failure Count"] == "0"


def test_a_cut_stream_is_a_failure_of_locusts_too_and_ends_it_with_1(tmp_path: Path) -> None:
    with running(FakeServer(lambda number, body: "cut" if number % 2 else "well", 0.01)) as server:
        done = locust(server, STREAM, "2s")
    assert done.returncode == 1
    assert "cut off" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "locust: which server? give --host http://localhost:8000"),
        (["--host", "http://127.0.0.1:9"], "locust: http://127.0.0.1:9 cannot be reached"),
    ],
    ids=["none", "nobody"],
)
def test_locust_says_what_is_missing_in_one_line(options: list[str], words: str) -> None:
    command = [sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", "--headless", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
