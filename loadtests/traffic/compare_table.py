"""Changes as a table of text, and what stands around it. Must not know: how changes are found."""

from __future__ import annotations

import math
from collections.abc import Sequence

from loadtests.report import Figures
from loadtests.traffic.compare import CONFIDENCE, FEWEST_ROUNDS, TOO_FEW, Change
from loadtests.traffic.run import Run
from loadtests.traffic.tables import shown

COLUMNS = ["load", "requests", "figure", "A", "B", "B over A", "surely between", "verdict"]
SAME_MACHINE = ("machine", "system", "python", "workload")


def change_table(changes: Sequence[Change]) -> Figures:
    title = f"B beside A; {CONFIDENCE:.0%} sure for the table as a whole"
    return Figures(title, COLUMNS, [_row(one) for one in changes])


def _row(one: Change) -> list[str]:
    unit = one.figure.unit
    if one.is_share:
        values = [f"{100 * value:.2f} %" for value in (one.before, one.after)]
        middle, low, high = (f"{100 * value:+.2f}" for value in (one.ratio, one.low, one.high))
        middle += " points"
    else:
        values = [f"{shown(value)} {unit}" for value in (one.before, one.after)]
        middle, low, high = (f"{value:.2f}" for value in (one.ratio, one.low, one.high))
    between = "" if math.isnan(one.low) else f"{low} .. {high}"
    return [
        one.level.name, one.kind, one.figure.name, *values, middle if "nan" not in middle else "-", between,
        one.verdict,
    ]  # fmt: skip


def heads(before: Run, after: Run) -> list[str]:
    """Which two runs they are."""
    names = ("date", "commit", "server", "options of the server")
    return [
        f"{name}: " + ", ".join(run.facts[fact] for fact in names if fact in run.facts)
        for name, run in (("A", before), ("B", after))
    ]


def warnings(before: Run, after: Run, changes: Sequence[Change]) -> list[str]:
    """What makes the table say less than it seems to."""
    found = [
        f"{name}: {before.facts.get(name)} in A, {after.facts.get(name)} in B"
        for name in SAME_MACHINE
        if before.facts.get(name) != after.facts.get(name)
    ]
    if any(one.verdict == TOO_FEW for one in changes):
        found.append(
            f"'{TOO_FEW}': not enough requests or not {FEWEST_ROUNDS} rounds to tell a change from noise; "
            "measure with more --seconds or --rounds"
        )
    return found
