"""The training curves of bundles, side by side where their numbers are kept.

Knows: what a training run leaves in its bundle. Must not know: weights, scores.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.curves import CURVES_FILE, METRICS_FILE, Metrics, draw_runs
from training.report.pictures import COLOURS, picture_uri


@dataclass(frozen=True, slots=True)
class Picture:
    """`uri` holds the picture itself."""

    title: str
    uri: str


def bundle_curves(folders: Mapping[str, Path]) -> list[Picture]:
    """By the bundles' names: one picture of all that keep numbers, and those that others brought along."""
    recorded: dict[str, Sequence[Metrics]] = {}
    brought: list[Picture] = []
    for name, folder in folders.items():
        if (folder / METRICS_FILE).is_file():
            recorded[name] = _metrics(folder)
        elif (folder / CURVES_FILE).is_file():
            content = base64.b64encode((folder / CURVES_FILE).read_bytes()).decode()
            brought.append(Picture(name, f"data:image/png;base64,{content}"))
    if not recorded:
        return brought
    return [Picture(" and ".join(recorded), picture_uri(draw_runs(recorded, COLOURS))), *brought]


def _metrics(folder: Path) -> Sequence[Metrics]:
    # Brings TensorBoard along: only where there is something to read.
    from training.monitor import read_metrics

    return read_metrics(folder)
