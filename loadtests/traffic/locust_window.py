"""One window of a closed loop: locust, in a process of its own, with so many users.

Knows: locust's command line, the file of samples that loadtests/locustfile.py writes. Must not import locust,
which changes the modules of the process that does.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

from loadtests.machine import ROOT
from loadtests.traffic.address import Address
from loadtests.traffic.columns import decoded
from loadtests.traffic.faults import LoadTestError
from loadtests.traffic.plan import Asking
from loadtests.traffic.samples import Sample
from loadtests.traffic.windows import Level, Window

LOCUSTFILE = Path(__file__).resolve().parents[1] / "locustfile.py"
START_SECONDS = 60.0  # that locust may take beside its load
STOP_SECONDS = 5.0  # that the last user who gives up may take to say so


def check_locust() -> None:
    """Raises LoadTestError where locust is not installed."""
    if importlib.util.find_spec("locust") is None:
        raise LoadTestError(
            "users who wait are locust's, which is not installed; from the root of the clone: "
            "pip install '.[loadtest]'; or give --users '' and --rates for an open loop alone"
        )


def locust_window(
    address: Address, asking: Asking, level: Level, seconds: float, warm_up_seconds: float, number: int
) -> Window:
    """The window with this number. Raises LoadTestError where locust could not do its work."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "samples.json"
        run_seconds = math.ceil(warm_up_seconds + seconds)
        command = [
            *_command(address, asking, int(level.amount), run_seconds),
            "--samples",
            str(path),
            "Mixed",
        ]
        limit = run_seconds + asking.timeout_seconds + START_SECONDS
        try:
            done = subprocess.run(
                command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=limit
            )
        except subprocess.TimeoutExpired:
            raise LoadTestError(
                f"locust did not end within {limit:.0f} s; is this machine too busy?"
            ) from None
        if not path.exists():
            last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            raise LoadTestError(f"locust ended with {done.returncode} and without samples: {last}")
        content = json.loads(path.read_text(encoding="utf-8"))
    samples = [_shifted(one, warm_up_seconds) for one in decoded(content["samples"])]
    return Window(level, number, content["began_at"] + warm_up_seconds, seconds, samples)


def _command(address: Address, asking: Asking, users: int, run_seconds: int) -> list[str]:
    options = {
        "--host": address.url,
        "--users": str(users),
        "--spawn-rate": str(users),
        "--run-time": f"{run_seconds}s",
        # Who waits may hear the answer, or that there is none: who is stopped before has no sample.
        "--stop-timeout": str(math.ceil(asking.timeout_seconds + STOP_SECONDS)),
        "--loglevel": "WARNING",
        "--mix": asking.traffic,
        "--seed": str(asking.seed),
        "--request-timeout": str(asking.timeout_seconds),
        "--strategy": asking.strategy,
        "--source": asking.source,
        "--target": asking.target,
        "--sentences": asking.sentences and str(Path(asking.sentences).resolve()),
    }
    words = [word for name, value in options.items() if value is not None for word in (name, value)]
    headers = [word for name, value in address.headers.items() for word in ("--header", f"{name}: {value}")]
    locust = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--only-summary"]
    return [*locust, *words, *headers]


def _shifted(sample: Sample, seconds: float) -> Sample:
    """Its moments, told from the end of the warm-up on."""
    return dataclasses.replace(
        sample,
        due=sample.due - seconds,
        sent=sample.sent - seconds,
        ended=sample.ended - seconds,
        arrivals=tuple(moment - seconds for moment in sample.arrivals),
    )
