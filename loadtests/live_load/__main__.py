"""`python -m loadtests.live_load`: the rates that Verto and servers around CTranslate2 keep up with.

Knows how servers, windows, searches and the report are put together. Must not know what a server does.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from uvicorn.loops.auto import auto_loop_factory

from loadtests.entry import run_program
from loadtests.http_client import PreparedClient
from loadtests.kernels import serving_library
from loadtests.live_load.rate_search import MOST_WINDOWS, RateSearch, rate_at
from loadtests.live_load.report import (
    CALM_SHARE,
    Finding,
    calm_table,
    picture,
    rates_table,
    to_json,
)
from loadtests.live_load.servers import (
    CTRANSLATE2,
    SEQUENTIAL,
    VERTO,
    Alike,
    Tuning,
    client,
    running,
    tuned,
)
from loadtests.live_load.window import Window, window
from loadtests.machine import run_facts
from loadtests.open_loop import waiting_users
from loadtests.progress import progress_bar
from loadtests.report import RESULTS, Report, publish
from loadtests.subject import SHIPPED
from loadtests.workload import Workload, workload
from model.checkpoint import load_bundle_head

NUM_SENTENCES = 5_000
GUESSING_USERS = 12  # whose throughput in a closed loop is where the search begins
NOTES = (
    "Requests come at random moments (Poisson) at a set rate whether or not the server keeps up, each one "
    "sentence, beam 4; a latency is from the moment when the request was due to its answer. Servers and the "
    "load program share the machine; all servers have the same bundle, precision and threads of the network, "
    "are up all the time, and take turns in windows with the same arrivals.",
    "All servers parse HTTP with httptools and run on uvloop, as the load program does, and write no line "
    "for a request.",
    "`ctranslate2` is a server with its own batching at the best settings of a sweep "
    "(`python -m loadtests.peer_sweep`); `sequential` handles one request after the other.",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """How long windows are, and what they are to hold."""

    seconds: float
    calm_rounds: int
    bound_ms: float
    warm_up_seconds: float = 2.0  # of each window
    seed: int = 0


async def measure(clients: Mapping[str, PreparedClient], plan: Plan, done: Callable[..., None]) -> Finding:
    """A search for every server, a window of each in turn; then the calmer rate."""
    gc.freeze()  # a search for garbage among all that was imported would count as a server's latency
    searches = {name: RateSearch(await _capacity(one, plan), plan.bound_ms) for name, one in clients.items()}
    going = list(searches)
    while going:
        for name in list(going):
            search = searches[name]
            if (index := search.next_index()) is None:
                going.remove(name)
                done(MOST_WINDOWS - search.num_windows)
                continue
            seed = plan.seed + 1000 * index + len(search.windows[index])
            search.add(index, await _window(clients[name], rate_at(index), plan, seed))
            done()
    return Finding(plan.bound_ms, searches, await _calm(clients, searches, plan, done))


async def _window(one: PreparedClient, rate: float, plan: Plan, seed: int) -> Window:
    return await window(one.status, rate, plan.seconds, seed, plan.warm_up_seconds)


async def _capacity(one: PreparedClient, plan: Plan) -> float:
    """Sentences a second of users who wait; the first half, while caches and memory fill, does not count."""
    outcomes = await waiting_users(one.status, GUESSING_USERS, plan.seconds)
    return max(1.0, sum(outcome.due > plan.seconds / 2 for outcome in outcomes) / (plan.seconds / 2))


async def _calm(
    clients: Mapping[str, PreparedClient],
    searches: Mapping[str, RateSearch],
    plan: Plan,
    done: Callable[..., None],
) -> dict[str, list[Window]]:
    """Verto and the peer in turn, at the same rate."""
    rate = CALM_SHARE * searches[CTRANSLATE2].rate
    found: dict[str, list[Window]] = {VERTO: [], CTRANSLATE2: []}
    for number in range(plan.calm_rounds if rate else 0):
        for name, seen in found.items():
            seen.append(await _window(clients[name], rate, plan, plan.seed + number))
            done()
    return found


@contextlib.contextmanager
def opened(
    names: Sequence[str], alike: Alike, tuning: Tuning, sentences: Workload
) -> Iterator[dict[str, PreparedClient]]:
    """The servers running, a client for each."""
    direction = load_bundle_head(alike.bundle).info.directions[0]
    asked = list(dict.fromkeys(sentences.sentences))
    with running(names, alike, tuning) as ports:
        yield {name: client(port, asked, direction) for name, port in ports.items()}


def main(
    seconds: Annotated[float, typer.Option(help="Length of a window, besides 2 s of warm-up.")] = 10.0,
    calm_rounds: Annotated[int, typer.Option(help="Windows of both at the calmer rate.")] = 5,
    bound_ms: Annotated[float, typer.Option(help="What 99 of 100 requests must stay below.")] = 1000.0,
    precision: Annotated[str, typer.Option(help="float32 or int8, of all servers.")] = "int8",
    sequential: Annotated[bool, typer.Option(help="Also the server that batches nothing.")] = True,
    sentences: Annotated[Path | None, typer.Option(help="Text or TSV, plain or gzip; else made up.")] = None,
    bundle: Annotated[Path, typer.Option(help="The bundle that all serve.")] = SHIPPED,
    threads: Annotated[int, typer.Option(help="Threads of the network, in every server.")] = 1,
    results: Annotated[Path, typer.Option(help="Where the report goes.")] = RESULTS,
) -> None:
    """Find the highest rate of each server, and compare waiting times at a calmer one."""
    plan, alike = Plan(seconds, calm_rounds, bound_ms), Alike(bundle, precision, threads)
    asked, tuning = workload(sentences, NUM_SENTENCES), tuned(results)
    library = serving_library()  # built beforehand, as an image has it
    names = [VERTO, CTRANSLATE2, *([SEQUENTIAL] if sequential else [])]
    with (
        opened(names, alike, tuning, asked) as clients,
        progress_bar("windows", MOST_WINDOWS * len(names) + 2 * calm_rounds) as done,
        asyncio.Runner(loop_factory=auto_loop_factory()) as runner,  # the loop that servers have
    ):
        found = runner.run(measure(clients, plan, done))
    facts = run_facts(threads) | {"ctranslate2": version("ctranslate2"), "precision": precision}
    facts["kernels"] = library.level
    facts |= {"workload": asked.name, "settings of the peer": " ".join(tuning.options())}
    tables = [rates_table(found), calm_table(found)]
    pictures = {"live-load.png": picture(found)}
    publish(Report("live-load", "Under live load", facts, tables, to_json(found), NOTES, pictures), results)


if __name__ == "__main__":
    run_program(main)
