"""Autoscalers: one at a time, with a target that exists, a metric that the server has, and free to decide."""

import re
from collections.abc import Iterator
from typing import Any

from tests.deploy.manifests import of_kind, title
from tests.deploy.rendering import Manifest

BACKLOG = "verto_backlog_seconds"
_KINDS = ("HorizontalPodAutoscaler", "ScaledObject")


def autoscalers_have_room(objects: list[Manifest]) -> Iterator[str]:
    """The fewest replicas are fewer than the most, and at least one."""
    for scaler in of_kind(objects, *_KINDS):
        spec = scaler["spec"]
        fewest = spec.get("minReplicas", spec.get("minReplicaCount", 1))
        most = spec.get("maxReplicas", spec.get("maxReplicaCount", 1))
        if not 1 <= fewest < most:
            yield f"{title(scaler)}: from {fewest} to {most} replicas"


def autoscalers_decide(objects: list[Manifest]) -> Iterator[str]:
    """One autoscaler for a Deployment, which exists and says no number of replicas itself."""
    scaled = [_target(one) for one in of_kind(objects, *_KINDS)]
    deployments = {title(one): one for one in of_kind(objects, "Deployment")}
    for name in sorted(set(scaled)):
        if scaled.count(name) > 1:
            yield f"{name}: two autoscalers"
        if name not in deployments:
            yield f"{name}: is scaled and does not exist"
        elif "replicas" in deployments[name]["spec"]:
            yield f"{name}: is scaled, and replicas says a number that applying would set again"


def _target(scaler: Manifest) -> str:
    target = scaler["spec"]["scaleTargetRef"]
    return f"{target.get('kind', 'Deployment')}/{target['name']}"


def autoscalers_ask_for_the_backlog(objects: list[Manifest]) -> Iterator[str]:
    """The metric is the one that the server has."""
    for scaler in of_kind(objects, *_KINDS):
        for name in _metrics(scaler["spec"]):
            if name != BACKLOG:
                yield f"{title(scaler)}: asks for {name}, not {BACKLOG}"


def _metrics(spec: dict[str, Any]) -> Iterator[str]:
    for metric in spec.get("metrics", []):
        yield metric.get("pods", {}).get("metric", {}).get("name", metric["type"])
    for trigger in spec.get("triggers", []):
        query = trigger["metadata"].get("query", "")
        yield from re.findall(r"\bverto_\w+", query) or [query]
