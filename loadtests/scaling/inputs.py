"""What the simulation starts from: measured times of the committed results, rules of the committed manifests.

Knows: where these are written. Must not know: what is simulated with them. No measured number stands in code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import yaml

from loadtests.cost_model.fit import NAMES, CostModel
from loadtests.machine import ROOT
from loadtests.report import RESULTS

DEPLOY = ROOT / "deploy"
HPA_FILE = Path("components/hpa/horizontal-pod-autoscaler.yaml")


class InputFault(ValueError):
    """A result or manifest is missing or not as expected; names the file, and how to make it."""


@dataclass(frozen=True, slots=True)
class StepTimes:
    """Of OPUS-MT's shape in one precision, one thread: steps by rows and lengths, encoding by tokens."""

    steps: CostModel
    encode_base_seconds: float
    encode_token_seconds: float
    vocabulary: int  # the largest that was measured


@dataclass(frozen=True, slots=True)
class LiveLoad:
    """The shipped model over HTTP: the highest rate that held, and a calm one with its latencies."""

    precision: str
    bound_ms: float
    highest_rate: float
    calm_rate: float
    calm_p50_ms: float
    calm_p99_ms: float


@dataclass(frozen=True, slots=True)
class Start:
    """Medians of starts: seconds until ready, resident memory of all processes in millions of bytes."""

    ready_seconds: float
    memory_mb: float


@dataclass(frozen=True, slots=True)
class ScaleRule:
    """One direction of an autoscaler: at most so many pods or percent more (or fewer) in a period, by the
    most careful wish of a window."""

    window_seconds: float
    policies: tuple[tuple[str, float, float], ...]  # kind (Pods, Percent), value, period in seconds


@dataclass(frozen=True, slots=True)
class HpaRules:
    """What the committed HorizontalPodAutoscaler says."""

    target_backlog_seconds: float
    fewest: int
    most: int
    up: ScaleRule
    down: ScaleRule


def step_times(precision: str, results: Path = RESULTS) -> StepTimes:
    """Raises InputFault."""
    found = _result(results, "cost-model", "python -m loadtests.cost_model")
    one = _field(found, precision, "cost-model.json")
    coefficients = CostModel(tuple(float(one["coefficients"][name]) for name in NAMES))
    tokens, seconds = (np.array(values, dtype=float) for values in zip(*one["encodings"], strict=True))
    # Relative errors, as the steps were fitted: a short pass counts as much as a long one.
    terms = np.stack([np.ones_like(tokens), tokens], axis=1) / seconds[:, None]
    base, per_token = np.linalg.lstsq(terms, np.ones_like(seconds), rcond=None)[0]
    vocabulary = max(int(point["vocabulary"]) for point in one["points"])
    return StepTimes(coefficients, max(0.0, float(base)), float(per_token), vocabulary)


def live_load(results: Path = RESULTS) -> LiveLoad:
    """Raises InputFault."""
    found = _result(results, "live-load", "python -m loadtests.live_load")
    calm = _field(found, "calm", "live-load.json")["verto"]
    return LiveLoad(
        precision=found["facts"]["precision"],
        bound_ms=float(found["bound_ms"]),
        highest_rate=float(found["servers"]["verto"]["rate"]),
        calm_rate=float(calm[0]["rate"]),
        calm_p50_ms=median(float(one["p50_ms"]) for one in calm),
        calm_p99_ms=median(float(one["p99_ms"]) for one in calm),
    )


def server_start(precision: str, kernels: str = "native", results: Path = RESULTS) -> Start:
    """Raises InputFault."""
    found = _result(results, "server-start", "python -m loadtests.server_start")
    starts = [one for one in found["starts"] if (one["precision"], one["kernels"]) == (precision, kernels)]
    if not starts:
        raise InputFault(f"server-start.json has no start of {precision}, {kernels}")
    return Start(
        ready_seconds=median(float(one["ready_seconds"]) for one in starts),
        memory_mb=median(float(one["api_mb"]) + float(one["engine_mb"]) for one in starts),
    )


def hpa_rules(deploy: Path = DEPLOY) -> HpaRules:
    """Raises InputFault."""
    path = deploy / HPA_FILE
    if not path.is_file():
        raise InputFault(f"{HPA_FILE} is missing under {deploy.name}")
    spec = yaml.safe_load(path.read_text(encoding="utf-8"))["spec"]
    (metric,) = spec["metrics"]
    if metric["pods"]["metric"]["name"] != "verto_backlog_seconds":
        raise InputFault(
            f"{HPA_FILE} scales by {metric['pods']['metric']['name']}, not verto_backlog_seconds"
        )
    return HpaRules(
        target_backlog_seconds=_quantity(metric["pods"]["target"]["averageValue"]),
        fewest=int(spec["minReplicas"]),
        most=int(spec["maxReplicas"]),
        up=_rule(spec["behavior"]["scaleUp"]),
        down=_rule(spec["behavior"]["scaleDown"]),
    )


def _rule(behavior: Mapping[str, Any]) -> ScaleRule:
    policies: Sequence[Mapping[str, Any]] = behavior["policies"]
    return ScaleRule(
        window_seconds=float(behavior["stabilizationWindowSeconds"]),
        policies=tuple((one["type"], float(one["value"]), float(one["periodSeconds"])) for one in policies),
    )


def _quantity(text: str) -> float:
    """Of Kubernetes: whole numbers, or thousandths with an m."""
    return float(text[:-1]) / 1000 if text.endswith("m") else float(text)


def _result(results: Path, name: str, command: str) -> dict[str, Any]:
    path = results / f"{name}.json"
    if not path.is_file():
        raise InputFault(f"{path.name} is missing in {results.name}; make it with `{command}`")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _field(found: Mapping[str, Any], name: str, file: str) -> Any:
    if name not in found:
        raise InputFault(f"{file} has no {name!r}; it has {', '.join(found)}")
    return found[name]
