"""Continuous batching against naive static batching of the same network, as ratios within one run.

`python -m loadtests.continuous_batching` compares the engine alone and over HTTP, with 1 to 256 users in a
closed loop. Knows: doors, rounds, the report. Must not know: how either side decodes.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from loadtests.closed_loop import Door, Window, closed_loop
from loadtests.doors import Limits, engine_doors, served_door, served_static_door, static_doors
from loadtests.engine_watch import EngineWatch
from loadtests.entry import run_program
from loadtests.http_client import JsonClient
from loadtests.machine import run_facts
from loadtests.measures import medians
from loadtests.peers.static_batching import Batching
from loadtests.progress import progress_bar
from loadtests.report import RESULTS, Figures, Report, publish
from loadtests.servers import running_server
from loadtests.subject import SHIPPED, Subject, subject
from loadtests.workload import workload
from model.decoding import DecodingOptions

USERS = (1, 8, 32, 64, 256)
WAITS_MS = (0.0, 5.0, 20.0)  # tried for the static side, whose best counts
TUNING_USERS = 32


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    users: tuple[int, ...]
    rounds: int
    window: Window
    limits: Limits


@dataclass(frozen=True, slots=True)
class Comparison:
    """Medians over the rounds of one number of users and one kind of decoding; `steps` of the engine."""

    place: str
    kind: str
    users: int
    verto: dict[str, float]
    static: dict[str, float]
    steps: dict[str, float]

    @property
    def throughput_ratio(self) -> float:
        return self.verto["sentences_per_second"] / self.static["sentences_per_second"]

    @property
    def p99_ratio(self) -> float:
        return self.verto["p99_ms"] / self.static["p99_ms"]


def kinds_of(what: Subject) -> dict[str, DecodingOptions]:
    defaults = what.bundle.info.decoding
    return {kind: DecodingOptions.with_defaults({"strategy": kind}, defaults) for kind in ("beam", "greedy")}


async def best_batching(
    what: Subject, plan: Plan, done: Callable[..., None]
) -> tuple[Batching, list[dict[str, Any]]]:
    """The static side's best wait and batch size, by throughput with `TUNING_USERS` users and beams."""
    kinds, tried = kinds_of(what), list[dict[str, Any]]()
    for rows in (plan.limits.max_rows, 2 * plan.limits.max_rows):
        for wait_ms in WAITS_MS:
            batching = Batching(rows, wait_ms / 1000)
            async with static_doors(what, kinds, batching, plan.limits.num_threads) as doors:
                seen = await closed_loop(doors["beam"], TUNING_USERS, len(what.source_ids), plan.window)
            tried.append({"max_rows": rows, "wait_ms": wait_ms, **seen})
            done()
    best = max(tried, key=lambda one: float(one["sentences_per_second"]))
    return Batching(best["max_rows"], best["wait_ms"] / 1000), tried


async def compare(
    place: str, verto: dict[str, Door], static: dict[str, Door], what: Subject, plan: Plan,
    watch: EngineWatch | None, done: Callable[..., None],
) -> list[Comparison]:  # fmt: skip
    """Both sides in turn, A B A B, for every kind and number of users."""
    found: list[Comparison] = []
    for kind in verto:
        for users in plan.users:
            rounds: dict[str, list[dict[str, float]]] = {"verto": [], "static": [], "steps": []}
            for _ in range(plan.rounds):
                run = (users, len(what.source_ids), plan.window)
                hooks = (watch.begin, watch.end) if watch else ()
                rounds["verto"].append(await closed_loop(verto[kind], *run, *hooks))
                rounds["steps"] += [watch.account()] if watch else []
                done()
                rounds["static"].append(await closed_loop(static[kind], *run))
                done()
            found.append(Comparison(place, kind, users, *(medians(rounds[name]) for name in rounds)))
    return found


async def compare_engines(
    what: Subject, plan: Plan, batching: Batching, done: Callable[..., None]
) -> list[Comparison]:
    watch, kinds = EngineWatch(), kinds_of(what)
    async with (
        engine_doors(what, kinds, plan.limits, watch) as verto,
        static_doors(what, kinds, batching, plan.limits.num_threads) as static,
    ):
        return await compare("engine", verto, static, what, plan, watch, done)


async def compare_servers(
    what: Subject, plan: Plan, batching: Batching, folder: Path, url: str | None, done: Callable[..., None]
) -> list[Comparison]:
    """Both as processes of their own, with the eager network, since the peer has no other; `url` names a
    Verto that runs already."""
    threads = str(plan.limits.num_threads)
    with contextlib.ExitStack() as stack:
        if url:
            address = urlsplit(url)
            host, port = address.hostname or "127.0.0.1", address.port or 80
        else:
            host, port = "127.0.0.1", stack.enter_context(running_server(
                "cli.main", "serve", "--models-dir", str(folder), "--num-threads", threads,
                "--max-rows", str(plan.limits.max_rows), "--kernels", "eager", "--log-level", "error",
            ))  # fmt: skip
        peer = stack.enter_context(running_server(
            "loadtests.peers.static_batching", "--bundle", str(folder), "--threads", threads,
            "--max-rows", str(batching.max_rows), "--wait-ms", str(batching.wait_seconds * 1000),
        ))  # fmt: skip
        ours, theirs = JsonClient(host, port), JsonClient("127.0.0.1", peer)
        verto = {kind: served_door(ours, what, kind) for kind in kinds_of(what)}
        static = {kind: served_static_door(theirs, what, kind) for kind in kinds_of(what)}
        try:
            return await compare("HTTP", verto, static, what, plan, None, done)
        finally:
            await ours.close()
            await theirs.close()


def ratios(found: Sequence[Comparison]) -> Figures:
    columns = [
        "place",
        "kind",
        "users",
        "sentences/s",
        "static",
        "ratio",
        "tokens/s",
        "p50 ms",
        "static p50",
        "p99 ms",
        "static p99",
        "p99 ratio",
    ]
    rows = [
        [
            one.place, one.kind, str(one.users),
            f"{one.verto['sentences_per_second']:.1f}", f"{one.static['sentences_per_second']:.1f}",
            f"{one.throughput_ratio:.2f}", f"{one.verto['tokens_per_second']:.0f}",
            f"{one.verto['p50_ms']:.0f}", f"{one.static['p50_ms']:.0f}",
            f"{one.verto['p99_ms']:.0f}", f"{one.static['p99_ms']:.0f}", f"{one.p99_ratio:.2f}",
        ]
        for one in found
    ]  # fmt: skip
    return Figures("Continuous batching over static batching", columns, rows)


def steps(found: Sequence[Comparison]) -> Figures:
    names = list(found[0].steps)
    columns = ["kind", "users", *(name.replace("_", " ") for name in names)]
    rows = [[one.kind, str(one.users), *(_shown(name, one.steps[name]) for name in names)] for one in found]
    return Figures("Steps of the engine", columns, rows)


def _shown(name: str, value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{100 * value:.1f} %" if name.endswith("share") else f"{value:.1f}"


def to_json(found: Sequence[Comparison]) -> list[dict[str, Any]]:
    return [
        {
            "place": one.place, "kind": one.kind, "users": one.users,
            "throughput_ratio": one.throughput_ratio, "p99_ratio": one.p99_ratio,
            "verto": one.verto, "static": one.static,
            "steps": {name: None if math.isnan(value) else value for name, value in one.steps.items()},
        }
        for one in found
    ]  # fmt: skip


def main(
    limit: Annotated[int, typer.Option(help="Sentences that users send in turn.")] = 2000,
    sentences: Annotated[Path | None, typer.Option(help="Text or TSV, plain or gzip; else made up.")] = None,
    bundle: Annotated[Path, typer.Option(help="The bundle to serve.")] = SHIPPED,
    users: Annotated[str, typer.Option(help="Numbers of users.")] = ",".join(map(str, USERS)),
    rounds: Annotated[int, typer.Option(help="Rounds, of both sides each.")] = 3,
    seconds: Annotated[float, typer.Option(help="Of each window.")] = 10.0,
    warm_up: Annotated[float, typer.Option(help="Seconds before each window.")] = 2.0,
    max_rows: Annotated[int, typer.Option(help="Rows of the running batch.")] = 64,
    threads: Annotated[int, typer.Option(help="Threads of the network.")] = 1,
    http: Annotated[bool, typer.Option(help="Measure over HTTP too.")] = True,
    url: Annotated[str | None, typer.Option(help="A Verto that runs already; else one is started.")] = None,
    results: Annotated[Path, typer.Option(help="Where the report goes.")] = RESULTS,
) -> None:
    """Compare continuous with static batching of the same network, rows and threads."""
    what = subject(bundle, workload(sentences, limit), threads)
    plan = Plan(
        tuple(map(int, users.split(","))), rounds, Window(warm_up, seconds), Limits(max_rows, threads)
    )
    windows = 2 * len(WAITS_MS) + (1 + http) * 2 * 2 * rounds * len(plan.users)

    async def measure(done: Callable[..., None]) -> tuple[Batching, list[dict[str, Any]], list[Comparison]]:
        batching, tried = await best_batching(what, plan, done)
        found = await compare_engines(what, plan, batching, done)
        if http:
            found += await compare_servers(what, plan, batching, bundle, url, done)
        return batching, tried, found

    with progress_bar("windows", windows) as done:
        batching, tried, found = asyncio.run(measure(done))
    chosen = f"{batching.max_rows} rows, waits {batching.wait_seconds * 1000:.0f} ms"
    facts = run_facts(threads) | {
        "bundle": what.bundle.info.name,
        "workload": what.workload.name,
        "windows": f"{rounds} rounds of {seconds:g} s after {warm_up:g} s, both sides in turn; medians",
        "network": "eager on both sides",
        "rows of the running batch": str(max_rows),
        "static batching, the best of those tried": chosen,
    }
    data = {"comparisons": to_json(found), "static_tuning": tried}
    tables = [steps([one for one in found if one.steps]), ratios(found)]
    publish(Report("continuous-batching", "Continuous against static batching", facts, tables, data), results)


if __name__ == "__main__":
    run_program(main)
