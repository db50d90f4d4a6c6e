"""The best settings of the server around CTranslate2, so that Verto is not compared with a badly tuned peer.

`python -m loadtests.peer_sweep` tries its settings with users in a closed loop and writes the best to
`results/ctranslate2-server.json`, where `loadtests.live_load` finds them. Knows: the peer's settings, users.
Must not know: Verto, rates.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from loadtests.entry import run_program
from loadtests.http_client import PreparedClient
from loadtests.live_load.servers import CTRANSLATE2, TUNED_FILE, Alike, Tuning, client, running
from loadtests.machine import run_facts
from loadtests.measures import percentile
from loadtests.open_loop import waiting_users
from loadtests.progress import progress_bar
from loadtests.report import RESULTS, Figures, Report, publish
from loadtests.subject import SHIPPED
from loadtests.workload import workload
from model.checkpoint import load_bundle_head

MAX_TEXTS, WAITS_MS, IN_FLIGHT = (8, 16, 32, 64), (0.0, 5.0), (1, 2)
# CTranslate2 divides what it is given: by sentences, or by tokens with padding, at two sizes each.
DIVIDED = (("examples", 64), ("examples", 16), ("tokens", 512))
BOUND_MS = 1000.0
NUM_SENTENCES = 5_000


@dataclass(frozen=True, slots=True)
class Tried:
    """What users saw of one setting."""

    tuning: Tuning
    sentences_per_second: float
    p50_ms: float
    p99_ms: float


def settings() -> Iterator[Tuning]:
    """How requests become batches, each at CTranslate2's own division; then its divisions, at the default."""
    for max_texts, wait_ms, in_flight in itertools.product(MAX_TEXTS, WAITS_MS, IN_FLIGHT):
        yield Tuning(max_texts, wait_ms, in_flight)
    for batch_type, size in DIVIDED[1:]:
        yield Tuning(batch_type=batch_type, max_batch_size=size)


def best(tried: Sequence[Tried]) -> Tried:
    """The fastest of those that hold the bound; of all, where none does."""
    holding = [one for one in tried if one.p99_ms < BOUND_MS]
    return max(holding or tried, key=lambda one: one.sentences_per_second)


async def try_setting(tuning: Tuning, port_client: PreparedClient, users: int, seconds: float) -> Tried:
    """The first third of the time, while caches fill, does not count."""
    outcomes = await waiting_users(port_client.status, users, 1.5 * seconds)
    counted = [one for one in outcomes if 0.5 * seconds <= one.answered <= 1.5 * seconds]
    latencies = [1000 * one.latency for one in counted]
    port_client.close()
    return Tried(tuning, len(counted) / seconds, percentile(latencies, 0.5), percentile(latencies, 0.99))


def sweep(
    alike: Alike, sentences: Sequence[str], users: int, seconds: float, done: Callable[..., None]
) -> list[Tried]:
    """A server for each setting, one after the other."""
    direction = load_bundle_head(alike.bundle).info.directions[0]
    tried: list[Tried] = []
    for tuning in settings():
        with running([CTRANSLATE2], alike, tuning) as ports:
            asking = client(ports[CTRANSLATE2], sentences, direction)
            tried.append(asyncio.run(try_setting(tuning, asking, users, seconds)))
        done()
    return tried


def table(tried: Sequence[Tried]) -> Figures:
    columns = [
        "texts in a batch",
        "wait ms",
        "in flight",
        "divided by",
        "into",
        "sentences/s",
        "p50 ms",
        "p99 ms",
    ]
    rows = [
        [
            str(one.tuning.max_texts), f"{one.tuning.wait_ms:g}", str(one.tuning.in_flight),
            one.tuning.batch_type, str(one.tuning.max_batch_size),
            f"{one.sentences_per_second:.1f}", f"{one.p50_ms:.0f}", f"{one.p99_ms:.0f}",
        ]
        for one in sorted(tried, key=lambda one: -one.sentences_per_second)
    ]  # fmt: skip
    return Figures("Settings of the server around CTranslate2, best first", columns, rows)


def report(tried: Sequence[Tried], facts: dict[str, str]) -> Report:
    chosen = best(tried)
    notes = [
        f"Best: the most sentences a second among those with p99 under {BOUND_MS:.0f} ms, which is what the "
        "comparison under live load asks for."
    ]
    data = {"best": asdict(chosen.tuning), "tried": [asdict(one) for one in tried]}
    name = TUNED_FILE.removesuffix(".json")
    return Report(name, "Settings of the server around CTranslate2", facts, [table(tried)], data, notes)


def main(
    users: Annotated[int, typer.Option(help="Users who wait for their answers.")] = 24,
    seconds: Annotated[float, typer.Option(help="Time that counts for each setting.")] = 4.0,
    precision: Annotated[str, typer.Option(help="float32 or int8.")] = "int8",
    sentences: Annotated[Path | None, typer.Option(help="Text or TSV, plain or gzip; else made up.")] = None,
    bundle: Annotated[Path, typer.Option(help="The bundle to serve.")] = SHIPPED,
    threads: Annotated[int, typer.Option(help="Threads of the network.")] = 1,
    results: Annotated[Path, typer.Option(help="Where the report goes.")] = RESULTS,
) -> None:
    """Try every setting of the peer, and write the best."""
    asked, alike = workload(sentences, NUM_SENTENCES), Alike(bundle, precision, threads)
    with progress_bar("settings", len(list(settings()))) as done:
        tried = sweep(alike, list(dict.fromkeys(asked.sentences)), users, seconds, done)
    facts = run_facts(threads) | {"ctranslate2": version("ctranslate2"), "precision": precision}
    publish(report(tried, facts | {"workload": asked.name, "users": str(users)}), results)


if __name__ == "__main__":
    run_program(main)
