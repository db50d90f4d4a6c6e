"""What is said of processes, against some that take a known amount of memory, time, threads and files."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from service.engine.config import EngineSnapshot
from service.metrics import Metrics
from service.processes import PROC, num_open_files, usage_of
from tests.fakes import FakeEngine, served_model

pytestmark = pytest.mark.skipif(not PROC.is_dir(), reason="there is no /proc here")

MEGABYTE = 1 << 20
HELD = 96 * MEGABYTE
BURN = """
import sys, threading, time
held = bytearray(int(sys.argv[1]))
for start in range(0, len(held), 4096):
    held[start] = 1
while time.process_time() < float(sys.argv[2]):
    pass
stay = threading.Event()
threads = [threading.Thread(target=stay.wait, daemon=True) for _ in range(int(sys.argv[3]))]
for thread in threads:
    thread.start()
print("there", flush=True)
sys.stdin.read()
"""


@contextmanager
def process(held_bytes: int = 0, cpu_seconds: float = 0.0, threads: int = 0) -> Iterator[int]:
    """The id of one that takes so much more than it has to, and then waits."""
    command = [sys.executable, "-c", BURN, *map(str, (held_bytes, cpu_seconds, threads))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as one:
        try:
            assert one.stdout is not None
            assert one.stdout.readline() == b"there\n"
            yield one.pid
        finally:
            one.kill()


class ProcessOf(FakeEngine):
    """A fake engine that says it is this process."""

    def __init__(self, process_id: int | None) -> None:
        super().__init__()
        self.process_id = process_id

    def snapshot(self) -> EngineSnapshot:
        return replace(super().snapshot(), process_id=self.process_id)


def metrics_of(**processes: int | None) -> Metrics:
    metrics = Metrics()
    models = [served_model(ProcessOf(process_id), name) for name, process_id in processes.items()]
    metrics.watch(lambda: models)
    return metrics


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"verto_{name}", labels)


def test_memory_time_and_threads_of_each_engines_process_are_its_own() -> None:
    with process() as idle, process(HELD, 0.5, 3) as busy:
        metrics = metrics_of(idle=idle, busy=busy)

        def more(name: str) -> float:
            pair = [value(metrics, name, model=model) for model in ("busy", "idle")]
            assert None not in pair
            return pair[0] - pair[1]  # type: ignore[operator]

        assert more("engine_resident_memory_bytes") == pytest.approx(HELD, rel=0.1)
        assert 0.4 < more("engine_cpu_seconds_total") < 1.5
        assert more("engine_threads") == 3
        assert value(metrics, "engine_threads", model="idle") == 1


def test_an_engine_that_is_no_process_or_has_ended_is_left_out() -> None:
    with process() as ended:
        pass
    metrics = metrics_of(thread=None, gone=ended)
    for model in ("thread", "gone"):
        assert value(metrics, "engine_resident_memory_bytes", model=model) is None


def test_the_servers_own_memory_time_and_files_are_shown() -> None:
    metrics = metrics_of()
    before = value(metrics, "api_resident_memory_bytes"), value(metrics, "api_open_files")
    assert None not in before
    with ExitStack() as files:
        # Mapped, since what is only allocated may be memory that this process has had before.
        held = files.enter_context(mmap.mmap(-1, HELD))
        for page in range(0, HELD, mmap.PAGESIZE):
            held[page] = 1
        for _ in range(5):
            files.enter_context(Path(os.devnull).open())
        after = value(metrics, "api_resident_memory_bytes"), value(metrics, "api_open_files")
    assert after[0] - before[0] == pytest.approx(HELD, rel=0.2)  # type: ignore[operator]
    assert after[1] - before[1] == 5  # type: ignore[operator]
    assert value(metrics, "api_cpu_seconds_total") == pytest.approx(sum(os.times()[:2]), abs=0.5)


def test_the_start_is_when_the_process_began() -> None:
    with process() as one:
        usage = usage_of(one)
        assert usage is not None
        assert abs(time.time() - usage.started_at) < 20  # the kernel's clocks differ by a little


@pytest.mark.parametrize("stat", ["", "7 (a) b) S", "btime x"])
def test_what_cannot_be_read_is_not_made_up(tmp_path: Path, stat: str) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "stat").write_text(stat)
    (tmp_path / "7" / "statm").write_text("1 2 3")
    (tmp_path / "stat").write_text("cpu 1\n")
    assert usage_of(7, tmp_path) is None
    assert usage_of(8, tmp_path) is None
    assert num_open_files(8, tmp_path) is None


def test_a_name_with_spaces_and_brackets_is_read_past(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    ticks = os.sysconf("SC_CLK_TCK")
    numbers = ["0"] * 22
    numbers[11], numbers[12], numbers[17], numbers[19] = str(3 * ticks), str(ticks), "5", str(10 * ticks)
    (tmp_path / "7" / "stat").write_text("7 (my (odd) name) " + " ".join(["S", *numbers[1:]]))
    (tmp_path / "7" / "statm").write_text("100 2 3 4 5 6 7")
    (tmp_path / "stat").write_text("cpu 1\nbtime 1000\n")
    usage = usage_of(7, tmp_path)
    assert usage is not None
    assert (usage.cpu_seconds, usage.threads, usage.started_at) == (4.0, 5, 1010.0)
    assert usage.resident_bytes == 2 * os.sysconf("SC_PAGE_SIZE")


def test_the_limit_of_memory_is_shown() -> None:
    limit = value(metrics_of(), "memory_limit_bytes")
    assert limit is not None
    assert limit > 100 * MEGABYTE
