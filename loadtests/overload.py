"""Far more requests than can be served: what do refusals cost, and what becomes of those that are accepted?

`python -m loadtests.overload` starts a server (or takes `--url`), finds its peak with users who wait for
their answers, then offers ten times that at random moments, whether or not it keeps up; several rounds of
both, since machines are faster at one time than at another. Knows: phases, what is counted. Must not know:
how a server decides.
"""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from loadtests.entry import run_program
from loadtests.http_client import PreparedClient, post_request
from loadtests.machine import run_facts
from loadtests.measures import percentile
from loadtests.open_loop import Outcome, offered, waiting_users
from loadtests.report import RESULTS, Figures, Report, publish
from loadtests.servers import running_server
from loadtests.subject import SHIPPED
from loadtests.workload import made_up

TRANSLATED, REFUSED = 200, 429
NUM_SENTENCES = 10_000


@dataclass(frozen=True, slots=True)
class Plan:
    """What is offered. A share of the time at the beginning, while the queue fills, does not count."""

    rounds: int = 3
    users: int = 64
    factor: float = 10.0
    seconds: float = 20.0
    warm_up_share: float = 0.25
    timeout_seconds: float = 10.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Round:
    """Per second: characters translated for users who wait, requests offered, characters translated then."""

    peak: float
    goodput: float
    offered: float

    @property
    def share(self) -> float:
        return self.goodput / self.peak


@dataclass(frozen=True, slots=True)
class Finding:
    """Of all rounds together; latencies and lateness in milliseconds."""

    rounds: tuple[Round, ...]
    refused_p50_ms: float
    refused_p99_ms: float
    accepted: int
    accepted_in_time: int
    accepted_p99_ms: float
    lateness_p99_ms: float  # of the load program itself: part of what it measures
    statuses: dict[int, int]

    @property
    def goodput_share(self) -> float:
        """The median of the rounds."""
        return median(one.share for one in self.rounds)

    @property
    def in_time_share(self) -> float:
        return self.accepted_in_time / max(1, self.accepted)


class Client(PreparedClient):
    """Translates numbered sentences."""

    def __init__(self, url: str, plan: Plan) -> None:
        parts = urlsplit(url)
        host = parts.hostname or "127.0.0.1"
        # Each once: identical ones in flight would share a computation.
        self._sentences = list(dict.fromkeys(made_up(NUM_SENTENCES, plan.seed).sentences))
        fields = {"source": "en", "target": "de", "timeout_ms": round(plan.timeout_seconds * 1000)}
        asked = [{"text": text, **fields} for text in self._sentences]
        requests = [post_request(host, "/v1/translate", content) for content in asked]
        super().__init__(host, parts.port or 80, requests)

    def size(self, number: int) -> int:
        """Characters of the request with this number."""
        return len(self._sentences[number % len(self._sentences)])


async def measure(url: str, plan: Plan) -> Finding:
    """Peak, then overload, several times. Raises ValueError where the server answers nothing in time."""
    gc.disable()  # a search for garbage among all outcomes would count as the server's latency
    client, rounds, outcomes = Client(url, plan), list[Round](), list[Outcome]()
    try:
        for number in range(plan.rounds):
            at_peak = await waiting_users(client.status, plan.users, plan.seconds)
            rate = plan.factor * counted(plan, at_peak)
            if not rate:
                raise ValueError(f"of {len(at_peak)} requests before the overload none was answered in time")
            overloaded = await offered(client.status, rate, plan.seconds, plan.seed + number)
            sizes = [counted(plan, some, client.size) for some in (at_peak, overloaded)]
            rounds.append(Round(peak=sizes[0], goodput=sizes[1], offered=rate))
            outcomes += overloaded
    finally:
        client.close()
        gc.enable()
    return finding(plan, rounds, outcomes)


def counted(plan: Plan, outcomes: Sequence[Outcome], size: Callable[[int], int] = lambda number: 1) -> float:
    """Translations in time per second, of those that came within the time that counts, weighed by `size`."""
    began, ended = plan.seconds * plan.warm_up_share, plan.seconds
    useful = [one for one in outcomes if began <= one.answered < ended and in_time(plan, one)]
    return sum(size(one.number) for one in useful) / (ended - began)


def in_time(plan: Plan, one: Outcome) -> bool:
    return one.status == TRANSLATED and one.latency <= plan.timeout_seconds


def finding(plan: Plan, rounds: Sequence[Round], outcomes: Sequence[Outcome]) -> Finding:
    """What the rounds and all outcomes of overload say."""
    refused = [one.latency * 1000 for one in outcomes if one.status == REFUSED]
    accepted = [one for one in outcomes if one.status != REFUSED]
    return Finding(
        rounds=tuple(rounds),
        refused_p50_ms=percentile(refused, 0.5),
        refused_p99_ms=percentile(refused, 0.99),
        accepted=len(accepted),
        accepted_in_time=len([one for one in accepted if in_time(plan, one)]),
        accepted_p99_ms=percentile([one.latency * 1000 for one in accepted], 0.99),
        lateness_p99_ms=percentile([one.lateness * 1000 for one in outcomes], 0.99),
        statuses=dict(Counter(one.status for one in outcomes)),
    )


def report(plan: Plan, found: Finding, facts: dict[str, str]) -> Report:
    """The finding beside what is wanted of it."""
    rows = [
        ["peak, characters/s", listed(one.peak for one in found.rounds), ""],
        [
            "offered, requests/s",
            listed(one.offered for one in found.rounds),
            f"{plan.factor:g} times the peak",
        ],
        ["goodput, characters/s", listed(one.goodput for one in found.rounds), ""],
        ["goodput over peak, median", f"{found.goodput_share:.0%}", "at least 90 %"],
        ["refusal, median", f"{found.refused_p50_ms:.1f} ms", "under 20 ms"],
        ["refusal, p99", f"{found.refused_p99_ms:.1f} ms", "under 100 ms"],
        ["accepted in time", f"{found.in_time_share:.2%} of {found.accepted}", "all"],
        ["accepted, p99", f"{found.accepted_p99_ms:.0f} ms", f"under {plan.timeout_seconds * 1000:.0f} ms"],
        ["load program late, p99", f"{found.lateness_p99_ms:.1f} ms", "small: it is part of the above"],
    ]
    data: dict[str, Any] = {"plan": asdict(plan), "finding": asdict(found)}
    data["finding"] |= {"goodput_share": found.goodput_share, "in_time_share": found.in_time_share}
    table = Figures("Overload", ["what", "measured", "wanted"], rows)
    notes = [
        "Every request is one sentence, no two alike; rates are weighed by characters, since of short "
        "sentences there are more per second. Server and load program share the machine."
    ]
    return Report("overload", "Ten times what can be served", facts, [table], data, notes)


def listed(values: Iterable[float]) -> str:
    return ", ".join(f"{value:.1f}" for value in values)


def main(
    url: Annotated[str | None, typer.Option(help="A running server; without it, one is started.")] = None,
    factor: Annotated[float, typer.Option(help="Times the peak that is offered.")] = 10.0,
    seconds: Annotated[float, typer.Option(help="Length of each phase.")] = 20.0,
    rounds: Annotated[int, typer.Option(help="Rounds of peak and overload.")] = 3,
    users: Annotated[int, typer.Option(help="Users who find the peak.")] = 64,
    timeout_seconds: Annotated[float, typer.Option(help="Deadline of every request.")] = 10.0,
    num_threads: Annotated[int, typer.Option(help="Threads of the network.")] = 1,
    output: Annotated[Path, typer.Option(help="Folder of the results.")] = RESULTS,
) -> None:
    """Measure refusals, goodput and deadlines under overload."""
    plan = Plan(rounds=rounds, users=users, factor=factor, seconds=seconds, timeout_seconds=timeout_seconds)
    if url is not None:
        found = asyncio.run(measure(url, plan))
    else:
        options = ["--models-dir", str(SHIPPED), "--num-threads", str(num_threads), "--log-level", "warning"]
        with running_server("cli.main", "serve", *options) as port:
            found = asyncio.run(measure(f"http://127.0.0.1:{port}", plan))
    publish(report(plan, found, run_facts(num_threads)), output)


if __name__ == "__main__":
    run_program(main)
