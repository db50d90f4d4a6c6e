"""Finds its way through rendered objects: kinds, pods, containers, and the environment of a container.

Knows the shape of Kubernetes' objects; must not know what is right or wrong about them. What is missing
is empty here; whether it may be missing is the schemas' affair.
"""

from collections.abc import Iterator
from typing import Any

from tests.deploy.rendering import Manifest

SERVER = "verto"


def of_kind(objects: list[Manifest], *kinds: str) -> list[Manifest]:
    """The objects of these kinds, in their order."""
    return [one for one in objects if one["kind"] in kinds]


def title(thing: Manifest) -> str:
    """`Kind/name`, as kubectl writes it."""
    return f"{thing['kind']}/{thing['metadata']['name']}"


def workloads(objects: list[Manifest]) -> list[Manifest]:
    """Whatever runs containers."""
    return of_kind(objects, "Deployment", "Pod")


def pod_of(workload: Manifest) -> dict[str, Any]:
    """The pod's own spec."""
    spec: dict[str, Any] = workload["spec"]
    return spec if workload["kind"] == "Pod" else dict(spec["template"]["spec"])


def pod_labels(deployment: Manifest) -> dict[str, str]:
    """The labels of every pod of a Deployment."""
    labels: dict[str, str] = deployment["spec"]["template"]["metadata"].get("labels", {})
    return labels


def containers(workload: Manifest) -> Iterator[dict[str, Any]]:
    """Init containers, then the others."""
    pod = pod_of(workload)
    yield from pod.get("initContainers", [])
    yield from pod["containers"]


def servers(objects: list[Manifest]) -> Iterator[tuple[Manifest, dict[str, Any]]]:
    """Each Deployment with its container that runs the server."""
    for deployment in of_kind(objects, "Deployment"):
        for container in pod_of(deployment)["containers"]:
            if container["name"] == SERVER:
                yield deployment, container


def environment(objects: list[Manifest], container: dict[str, Any]) -> dict[str, str]:
    """What the container's variables will be: config maps first, then its own; those of secrets are empty."""
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        wanted = source.get("configMapRef", {}).get("name")
        for config in of_kind(objects, "ConfigMap"):
            if config["metadata"]["name"] == wanted:
                found |= config.get("data", {})
    return found | {one["name"]: one.get("value", "") for one in container.get("env", [])}


def selects(selector: dict[str, str], labels: dict[str, str]) -> bool:
    """Whether labels have everything that a selector asks for; an empty one takes everybody."""
    return selector.items() <= labels.items()
