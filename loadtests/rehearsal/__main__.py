"""`python -m loadtests.rehearsal`: two servers behind HAProxy, users who go on asking, and what they notice.

Knows how the rehearsals and the report are put together. Must not know acts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from loadtests.machine import run_facts
from loadtests.progress import progress_bar
from loadtests.rehearsal.acts import ACTS, Act
from loadtests.rehearsal.balancer import PATIENT, PLAIN, required_program
from loadtests.rehearsal.performance import Plan, rehearse
from loadtests.rehearsal.report import picture, table, to_json
from loadtests.report import RESULTS, Report, publish

Balance = Literal["leastconn", "roundrobin"]
WITH_RETRIES, WITHOUT = "HAProxy asks again elsewhere", "HAProxy does not ask again"
# A balancer that does not ask again must do as well when restarts are planned; the rest is for comparison.
NAMES = tuple(one.name for one in ACTS)
PLAIN_ACTS = ("planned", "signalled", "killed", "engine")
NOTES = (
    "Two replicas (`verto serve`, the shipped bundle), HAProxy and locust, all on one machine. Two users of "
    "three ask for translations, the third for streams, each a text of one to three sentences, and wait 0.1 "
    "to 0.5 s between requests. Every answer, whole or streamed, is compared with what the same text gave "
    "before the first act; another text counts as failed or broken, as does a stream without `done`.",
    "A request belongs to the act in which it ended. Asked again elsewhere: HAProxy sent it to the other "
    "replica because the first had refused the connection, closed it without an answer, or said 503. The "
    "number at a promise is how many requests the balancer had at the replica that was killed, and two more.",
)


def main(
    users: Annotated[int, typer.Option(help="Users at once.", min=3)] = 24,
    threads: Annotated[int, typer.Option(help="Threads of each network.", min=1)] = 1,
    acts: Annotated[str, typer.Option(help="Names with commas between.")] = ",".join(NAMES),
    calm_seconds: Annotated[float, typer.Option(help="After each act.", min=0.0)] = 4.0,
    balance: Annotated[Balance, typer.Option(help="HAProxy's way to choose a replica.")] = "leastconn",
    results: Annotated[Path, typer.Option(help="Where the report goes.")] = RESULTS,
) -> None:
    """Replace, kill, pause and flood servers under load, and count what users notice.

    Exit code 1 when a promise was not kept.
    """
    chosen = chosen_acts(acts.split(","))
    required_program()  # rather now than after two servers have been started
    few = [one for one in chosen if one.name in PLAIN_ACTS]
    options = ["--num-threads", str(threads), "--log-level", "warning"]
    plan = Plan(chosen, users, options=options, calm_seconds=calm_seconds, balance=balance)
    plans = {WITH_RETRIES: replace(plan, retry_on=PATIENT), WITHOUT: replace(plan, acts=few, retry_on=PLAIN)}
    with progress_bar("acts", len(chosen) + len(few)) as done:
        played = {name: rehearse(one, done) for name, one in plans.items() if one.acts}
    facts = run_facts(threads) | {"users": str(users), "drain delay": f"{plan.drain_delay_seconds:g} s"}
    tables = [table(name, one) for name, one in played.items()]
    data = {
        "rehearsals": {name: to_json(one) for name, one in played.items()},
        "tables": [asdict(one) for one in tables],
    }
    pictures = {"rehearsal.png": picture(played)}
    title = "Servers replaced, killed, paused and flooded under load"
    publish(Report("rehearsal", title, facts, tables, data, NOTES, pictures), results)
    if not all(found.is_kept for one in played.values() for found in one.findings):
        raise typer.Exit(1)


def chosen_acts(names: Sequence[str]) -> list[Act]:
    """In the order in which they are played. Raises BadParameter for an unknown name."""
    known = {one.name: one for one in ACTS}
    if unknown := [name for name in names if name not in known]:
        raise typer.BadParameter(f"unknown act {unknown[0]!r}; choose from {', '.join(known)}")
    return [one for name, one in known.items() if name in names]


if __name__ == "__main__":
    typer.run(main)
