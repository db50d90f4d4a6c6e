"""`python -m loadtests.scaling`: simulated clusters, from the committed measurements and manifests.

Knows how inputs, scenarios and the report are put together. Must not know how a cluster works.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from loadtests.bench.cells import PRECISIONS
from loadtests.bench.shapes import OPUS_BASE
from loadtests.machine import run_facts
from loadtests.progress import progress_bar
from loadtests.report import RESULTS, Report, publish
from loadtests.scaling import findings
from loadtests.scaling.capacity import held
from loadtests.scaling.findings import World
from loadtests.scaling.fleet import Assumptions
from loadtests.scaling.inputs import hpa_rules, live_load, server_start, step_times
from loadtests.scaling.pictures import autoscaling_picture, changes_picture, replicas_picture
from loadtests.scaling.subjects import opus, shipped
from loadtests.scaling.traffic import mean_characters
from loadtests.subject import SHIPPED
from model.checkpoint import load_bundle_head

LIVE_SENTENCES = 5_000  # of the measurement under live load, whose mean length its rate is about
INPUTS = ("cost-model", "live-load", "server-start")
NOTES = (
    "Simulated, not measured: replicas are batches that sentences join and leave, with the step times of "
    "`cost-model.json` (OPUS-MT's shape, one thread), the start of `server-start.json`, and the rules of the "
    "committed HorizontalPodAutoscaler. Every request is one sentence, beam 4, at random moments (Poisson), "
    "with as many target tokens as source tokens. A balancer asks the replica with fewest requests.",
    "The row of the shipped model uses the same formula, made faster by one factor, so that its capacity is "
    "the rate of `live-load.json`. HTTP, tokenizing and the load program's share of the machine are not "
    "simulated: the table of one replica says what that comes to.",
)
Item = TypeVar("Item")


def main(
    price_per_hour: Annotated[
        float,
        typer.Option(help="Of a machine with one replica; 0.10 is but an example.", min=0.0),
    ] = 0.10,
    results: Annotated[Path, typer.Option(help="Where the report goes.")] = RESULTS,
) -> None:
    """Simulate replicas against load, autoscaling, the loss of a zone and a rolling update."""
    assumed, live = Assumptions(), live_load()
    times, start = step_times(live.precision), server_start(live.precision)
    ours, base = shipped(times, live), opus(times, live.precision)
    world = World(base, hpa_rules(), start, assumed)
    characters = mean_characters(LIVE_SENTENCES)
    others = [opus(step_times(name), name) for name in PRECISIONS]
    all_held = [held(ours, load_bundle_head(SHIPPED).config, characters)]
    all_held += [held(one, OPUS_BASE, characters) for one in others]
    total = len(findings.FLEETS) * len(findings.LOADS) + 6 + 4 + len(findings.ZONE_LOADS) + 2
    with progress_bar("scenarios", total) as done:
        points = _all(findings.steady_points(world), done)
        scaled = _all(findings.autoscaling_courses(world), done)
        targets = _all(findings.target_courses(world), done)
        zones, updates = _all(findings.zone_courses(world), done), _all(findings.update_courses(world), done)
    tables = [
        findings.held_table(all_held, start),
        findings.cost_table(all_held, price_per_hour),
        findings.check_table(findings.check_point(ours, live, assumed), live),
        findings.steady_table(points),
        findings.autoscaling_table(scaled),
        findings.target_table(targets),
        findings.zone_table(zones),
        findings.update_table(updates),
    ]
    pictures = {
        "scaling-replicas.png": replicas_picture(points),
        "scaling-autoscaling.png": autoscaling_picture(scaled, base.capacity),
        "scaling-changes.png": changes_picture(zones, updates),
    }
    inputs = {name: _origin(name) for name in INPUTS}
    data = {
        "inputs": inputs,
        "assumptions": asdict(assumed),
        "held": [asdict(one) for one in all_held],
        "points": [asdict(one) for one in points],
        "courses": [{"name": one.name, **one.summary} for one in (*scaled, *targets, *zones, *updates)],
        "tables": [asdict(one) for one in tables],
    }
    facts = run_facts(1) | {"simulated": f"{base.name}, {base.capacity:.1f} sentences/s a replica"}
    facts |= {f"from {name}.json": origin for name, origin in inputs.items()}
    publish(Report("scaling", "From one server to many", facts, tables, data, NOTES, pictures), results)


def _all(items: Iterable[Item], done: Callable[..., None]) -> list[Item]:
    found = []
    for one in items:
        found.append(one)
        done()
    return found


def _origin(name: str) -> str:
    """When and of what an input was measured."""
    facts = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))["facts"]
    return f"{facts['date']}, commit {facts['commit']}, {facts['machine']}"


if __name__ == "__main__":
    typer.run(main)
