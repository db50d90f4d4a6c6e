"""A pod's life: start, probes, scrapes, drain, rollout; reads rendered objects and the server's defaults."""

from collections.abc import Iterator
from typing import Any

from tests.deploy.manifests import of_kind, pod_of, servers, title
from tests.deploy.rendering import Manifest
from tests.deploy.rules.routes import declared_paths
from tests.deploy.rules.settings import resolved

# What is left for the process to end after its drain.
_EXIT_SECONDS = 5
# How long endpoints, balancers and ingress controllers may take to hear of a pod that leaves.
_DEREGISTRATION_SECONDS = 5
# How long a connection that is kept open may wait for its next request, and so for the answer that closes it.
_LEAVING_SECONDS = 5
_DEFAULT_GRACE_SECONDS = 30


def drain_outlasts_the_longest_translation(objects: list[Manifest]) -> Iterator[str]:
    """preStop sleep + leaving + drain < grace, and the drain is no shorter than a request may take."""
    for deployment, container in servers(objects):
        settings = resolved(objects, container)
        sleep = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        grace = pod_of(deployment).get("terminationGracePeriodSeconds", _DEFAULT_GRACE_SECONDS)
        delay, drain = settings.drain_delay_seconds, settings.drain_timeout_seconds
        longest = settings.max_timeout_seconds
        if sleep < _DEREGISTRATION_SECONDS:
            yield f"{title(deployment)}: preStop sleeps {sleep} s, less than {_DEREGISTRATION_SECONDS}"
        if delay < _LEAVING_SECONDS:
            yield f"{title(deployment)}: leaves for {delay:g} s, less than {_LEAVING_SECONDS}"
        if drain < longest:
            yield f"{title(deployment)}: drains {drain:g} s, a request may take {longest:g}"
        needed = sleep + delay + drain + _EXIT_SECONDS
        if grace < needed:
            yield f"{title(deployment)}: killed after {grace} s, needs {needed:g}"


def probes_are_declared(objects: list[Manifest]) -> Iterator[str]:
    """All three, each with the address made for it, which the app has."""
    wanted = {"startupProbe": "/health/startup", "readinessProbe": "/health/ready"}
    wanted["livenessProbe"] = "/health/live"
    for deployment, container in servers(objects):
        for kind, path in wanted.items():
            asked = container.get(kind, {}).get("httpGet", {}).get("path")
            if asked != path or path not in declared_paths():
                yield f"{title(deployment)}: {kind} asks {asked}, not {path}"


def metrics_are_scraped_where_they_are(objects: list[Manifest]) -> Iterator[str]:
    """A monitor asks the address that the app has."""
    for monitor in of_kind(objects, "ServiceMonitor"):
        for endpoint in monitor["spec"]["endpoints"]:
            if endpoint.get("path", "/metrics") not in declared_paths():
                yield f"{title(monitor)}: scrapes {endpoint['path']}, which the server does not have"


def a_start_is_waited_for(objects: list[Manifest]) -> Iterator[str]:
    """A rollout is not given up while the startup probe still waits, and minutes are left for a start."""
    for deployment, container in servers(objects):
        start = _patience(container.get("startupProbe", {}))
        deadline = deployment["spec"].get("progressDeadlineSeconds", 600)
        if start < 120:
            yield f"{title(deployment)}: a start may take {start} s only"
        if deadline <= start:
            yield f"{title(deployment)}: progressDeadlineSeconds {deadline}, a start may take {start}"
        if _patience(container.get("livenessProbe", {})) <= _patience(container.get("readinessProbe", {})):
            yield f"{title(deployment)}: is killed before it is taken out of the Service"


def _patience(probe: dict[str, Any]) -> int:
    """Seconds from the first failure to the consequence."""
    return int(probe.get("periodSeconds", 10) * probe.get("failureThreshold", 3))


def rollout_keeps_capacity(objects: list[Manifest]) -> Iterator[str]:
    """A new pod is ready before an old one leaves; where each needs its own GPU, an old one leaves first."""
    for deployment, container in servers(objects):
        rolling = deployment["spec"].get("strategy", {}).get("rollingUpdate", {})
        steps = (rolling.get("maxSurge"), rolling.get("maxUnavailable"))
        needs_gpu = "nvidia.com/gpu" in container["resources"].get("limits", {})
        if steps != ((0, 1) if needs_gpu else (1, 0)):
            yield f"{title(deployment)}: maxSurge, maxUnavailable = {steps}"
        if deployment["spec"].get("revisionHistoryLimit", 10) < 2:
            yield f"{title(deployment)}: no revision to roll back to"


def budgets_say_one_bound(objects: list[Manifest]) -> Iterator[str]:
    """A disruption budget has minAvailable or maxUnavailable, and lets nodes be drained."""
    for budget in of_kind(objects, "PodDisruptionBudget"):
        bounds = budget["spec"].keys() & {"minAvailable", "maxUnavailable"}
        if len(bounds) != 1:
            yield f"{title(budget)}: {sorted(bounds) or 'no bound'}, one is wanted"
        if budget["spec"].get("maxUnavailable") in (0, "0%"):
            yield f"{title(budget)}: no node could ever be drained"
