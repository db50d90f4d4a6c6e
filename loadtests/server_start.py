"""How long `verto serve` takes to be ready, to its first translation, and what memory its processes hold.

`python -m loadtests.server_start`. Knows: a server's command, requests, /proc. Must not know: what the server
does. Kernels are built before (`verto prepare`); starts of all ways take turns.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated
from urllib.request import Request, urlopen

import typer

from loadtests.entry import run_program
from loadtests.machine import run_facts
from loadtests.progress import progress_bar
from loadtests.report import RESULTS, Figures, Report, publish
from loadtests.servers import started_server
from loadtests.subject import SHIPPED
from loadtests.workload import made_up
from model.bundle_head import load_bundle_head
from service.processors import usable_processors

WAYS = (("int8", "native"), ("float32", "native"), ("int8", "eager"), ("float32", "eager"))
COLUMNS = [
    "precision", "kernels", "ready s", "first translation s", "API process MB", "engine MB", "together MB",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """What every start has in common: `requests` before memory is read, from `users` at once."""

    bundle: Path
    threads: int
    requests: int
    users: int


@dataclass(frozen=True, slots=True)
class Start:
    """One start. Memory of both processes is resident (`VmRSS`), after the requests, in millions of bytes."""

    precision: str
    kernels: str
    ready_seconds: float
    first_seconds: float
    api_mb: float
    engine_mb: float


def start(asked: Asked, precision: str, kernels: str) -> Start:
    options = ["--models-dir", str(asked.bundle), "--num-threads", str(asked.threads), "--log-level", "error"]
    options += ["--precision", precision, "--kernels", kernels]
    sentences = made_up(asked.requests, seed=0).sentences
    with started_server("cli.main", "serve", *options) as server:
        began = time.monotonic()
        _translate(server.port, sentences[0])
        first = server.ready_seconds + time.monotonic() - began
        with ThreadPoolExecutor(asked.users) as users:
            list(users.map(lambda text: _translate(server.port, text), sentences))
        engines = [resident_mb(child) for child in children(server.process_id)]
        own = resident_mb(server.process_id)
    return Start(precision, kernels, server.ready_seconds, first, own, sum(engines))


def _translate(port: int, text: str) -> None:
    body = json.dumps({"text": text, "source": "en", "target": "de"}).encode()
    request = Request(f"http://127.0.0.1:{port}/v1/translate", body, {"content-type": "application/json"})
    with urlopen(request, timeout=60) as answer:
        answer.read()


def children(process_id: int) -> list[int]:
    """Processes that this one has started, in any of its threads."""
    lists = Path(f"/proc/{process_id}/task").glob("*/children")
    return [int(child) for one in lists for child in one.read_text().split()]


def resident_mb(process_id: int) -> float:
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    (kibibytes,) = [int(line.split()[1]) for line in lines if line.startswith("VmRSS:")]
    return kibibytes * 1024 / 1e6


def figures(starts: Sequence[Start]) -> Figures:
    rows = [_row([one for one in starts if (one.precision, one.kernels) == way]) for way in WAYS]
    return Figures("Medians of the starts", COLUMNS, rows)


def _row(starts: Sequence[Start]) -> list[str]:
    api, engine = (
        statistics.median(values) for values in zip(*((s.api_mb, s.engine_mb) for s in starts), strict=True)
    )
    ready = statistics.median(one.ready_seconds for one in starts)
    first = statistics.median(one.first_seconds for one in starts)
    memory = [f"{value:.0f}" for value in (api, engine, api + engine)]
    return [starts[0].precision, starts[0].kernels, f"{ready:.2f}", f"{first:.2f}", *memory]


def main(
    rounds: Annotated[int, typer.Option(help="Starts of each way.", min=1)] = 5,
    requests: Annotated[int, typer.Option(help="Before memory is read.", min=1)] = 80,
    users: Annotated[int, typer.Option(help="Who ask at once.", min=1)] = 16,
    threads: Annotated[int | None, typer.Option(help="Of the network; else the usable processors.")] = None,
    bundle: Annotated[Path, typer.Option(help="The bundle to serve.")] = SHIPPED,
    results: Annotated[Path, typer.Option(help="Where the report goes.")] = RESULTS,
) -> None:
    """Start `verto serve` again and again, in int8 and float32, with and without native kernels."""
    load_bundle_head(bundle)  # one that cannot be served is told of before a server is started
    asked = Asked(bundle, threads or usable_processors(), requests, users)
    with progress_bar("starts", rounds * len(WAYS)) as done:
        starts: list[Start] = []
        for precision, kernels in WAYS * rounds:
            starts.append(start(asked, precision, kernels))
            done()
    facts = run_facts(asked.threads) | {"bundle": bundle.name, "requests": f"{requests}, {users} at once"}
    data = {"starts": [asdict(one) for one in starts]}
    title = "Start and memory of verto serve"
    publish(Report("server-start", title, facts, [figures(starts)], data), results)


if __name__ == "__main__":
    run_program(main)
