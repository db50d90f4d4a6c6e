"""What the rounds say: ratios, geometric means, the worst cell, cells under their target.

Knows: timed cells, targets. Must not know: how they were timed, pictures, files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from loadtests.bench.cells import CTRANSLATE2, MEAN_TARGET, TARGETS
from loadtests.bench.rounds import Timed
from loadtests.report import Figures


def geometric_mean(values: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values)) if values else math.nan


def short_of_target(timed: Sequence[Timed]) -> list[Timed]:
    return [one for one in timed if one.ratio < TARGETS[one.cell.peer]]


def means(timed: Sequence[Timed]) -> dict[str, float]:
    """Geometric means of the ratios over CTranslate2: of all cells, and of each value of each axis."""
    peers = [one for one in timed if one.cell.peer == CTRANSLATE2]
    found = {"all": geometric_mean([one.ratio for one in peers])} if peers else {}
    axes: tuple[Callable[[Timed], str], ...] = (
        lambda one: f"{one.cell.shape}, {one.cell.text}",
        lambda one: one.cell.precision,
        lambda one: one.cell.strategy,
        lambda one: f"batch {one.cell.batch}",
    )
    for axis in axes:
        for value in dict.fromkeys(axis(one) for one in peers):
            found[value] = geometric_mean([one.ratio for one in peers if axis(one) == value])
    return found


def cells_table(timed: Sequence[Timed]) -> Figures:
    columns = [
        "cell", "steps", "over", "Verto ms", "peer ms", "Verto tokens/s", "peer tokens/s", "ratio", "target",
        "same answers",
    ]  # fmt: skip
    rows = [
        [
            one.cell.name, str(one.length or "as they come"), one.cell.peer,
            f"{1000 * median(one.verto_seconds):.0f}", f"{1000 * median(one.peer_seconds):.0f}",
            f"{one.verto_rate:.0f}", f"{one.peer_rate:.0f}", f"{one.ratio:.2f}",
            _target(one), f"{one.identical} of {one.sentences}",
        ]
        for one in timed
    ]  # fmt: skip
    return Figures("Verto over its peers, medians of interleaved rounds", columns, rows)


def _target(one: Timed) -> str:
    target = TARGETS[one.cell.peer]
    return f"{target:g}" if one.ratio >= target else f"{target:g}, short"


def means_table(timed: Sequence[Timed]) -> Figures:
    worst = min(timed, key=lambda one: one.ratio / TARGETS[one.cell.peer])
    rows = [
        [name, f"{value:.2f}", f"{MEAN_TARGET:g}" if name == "all" else ""]
        for name, value in means(timed).items()
    ]
    rows.append(
        [
            f"worst: {worst.cell.name} ({worst.cell.peer})",
            f"{worst.ratio:.2f}",
            f"{TARGETS[worst.cell.peer]:g}",
        ]
    )
    return Figures("Geometric means over CTranslate2, and the worst cell", ["of", "ratio", "target"], rows)


def reasons_table(timed: Sequence[Timed], reasons: Mapping[str, str]) -> Figures:
    rows = [
        [one.cell.name, f"{one.ratio:.2f}", reasons.get(one.cell.name, "not profiled")]
        for one in short_of_target(timed)
    ]
    return Figures(
        "Cells under their target, and where Verto's time goes there", ["cell", "ratio", "why"], rows
    )


def to_json(timed: Sequence[Timed], reasons: Mapping[str, str]) -> dict[str, Any]:
    return {
        "means": means(timed),
        "cells": [
            {
                **asdict(one.cell), "ratio": one.ratio, "target": TARGETS[one.cell.peer],
                "verto_tokens_per_second": one.verto_rate, "peer_tokens_per_second": one.peer_rate,
                "steps": one.length, "sentences": one.sentences, "identical": one.identical,
                "verto_tokens": one.verto_tokens, "peer_tokens": one.peer_tokens,
                "verto_seconds": one.verto_seconds, "peer_seconds": one.peer_seconds,
                "reason": reasons.get(one.cell.name),
            }
            for one in timed
        ],
    }  # fmt: skip
