"""Asks a bundle for translations of what everyday text is made of, and tells what became of it.

`python -m loadtests.robustness --bundle PATH`. Knows: cases, how they are told. Must not know: how a model is
served.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer

from loadtests.entry import run_program
from loadtests.machine import run_facts
from loadtests.progress import progress_bar
from loadtests.report import RESULTS, Figures, Report, publish
from loadtests.robustness.asking import asking
from loadtests.robustness.behaviours import behaviours
from loadtests.robustness.copies import copy_cases
from loadtests.subject import SHIPPED

SHOWN_FAULTS = 40


class Case(Protocol):
    """Something that is asked, and what its answer must be."""

    @property
    def kind(self) -> str: ...
    @property
    def text(self) -> str: ...
    def fault(self, translation: str) -> str: ...


def judged(cases: Sequence[Case], translations: Sequence[str]) -> list[dict[str, str]]:
    """A line for each case; `fault` is empty where its answer is as expected."""
    pairs = zip(cases, translations, strict=True)
    return [{"kind": c.kind, "text": c.text, "translation": t, "fault": c.fault(t)} for c, t in pairs]


def shares(lines: Sequence[dict[str, str]], title: str) -> Figures:
    """How many of each kind are as expected, and of all."""
    kinds = dict.fromkeys(line["kind"] for line in lines)
    parts = [(kind, [line for line in lines if line["kind"] == kind]) for kind in kinds]
    rows = [_row(kind, part) for kind, part in [*parts, ("all", list(lines))]]
    return Figures(title, ["kind", "cases", "as expected", "share"], rows)


def _row(kind: str, lines: Sequence[dict[str, str]]) -> list[str]:
    passed = sum(not line["fault"] for line in lines)
    return [kind, str(len(lines)), str(passed), f"{100 * passed / len(lines):.1f} %"]


def faults(lines: Sequence[dict[str, str]]) -> Figures:
    """What was not as expected, the first of it."""
    wrong = [line for line in lines if line["fault"]]
    columns = ["kind", "text", "translation", "fault"]
    rows = [[line[column].replace("|", "\\|") for column in columns] for line in wrong[:SHOWN_FAULTS]]
    return Figures(f"Not as expected ({len(wrong)}; the first {len(rows)})", columns, rows)


def main(
    bundle: Annotated[Path, typer.Option(help="The bundle to ask.")] = SHIPPED,
    count: Annotated[int, typer.Option(min=1, help="Generated cases of copying.")] = 500,
    seed: Annotated[int, typer.Option(help="Of the generated cases.")] = 0,
    threads: Annotated[int, typer.Option(help="Threads of the network.")] = 1,
    results: Annotated[Path, typer.Option(help="Where the report goes.")] = RESULTS,
) -> None:
    """Generated cases of copying, and the list of behaviours, through the service's translator."""
    with asking(bundle, threads) as what:
        copies, listed = copy_cases(what.source, count, seed), behaviours(what.source, what.target)
        with progress_bar("texts", len(copies) + len(listed)) as done:
            copied = judged(copies, what.translations([one.text for one in copies], done))
            behaved = judged(listed, what.translations([one.text for one in listed], done))
        pair = f"{what.source}-{what.target}"
    tables = [
        shares(copied, f"Copied unchanged, {len(copied)} generated cases"),
        shares(behaved, "Behaviour"),
        faults([*copied, *behaved]),
    ]
    data: dict[str, Any] = {"pair": pair, "seed": seed, "copies": copied, "behaviours": behaved}
    facts = run_facts(threads) | {"bundle": bundle.name, "direction": pair}
    publish(Report(f"robustness-{pair}", f"Robustness, {pair}", facts, tables, data), results)


if __name__ == "__main__":
    run_program(main)
