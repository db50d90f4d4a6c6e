"""What one object says of another: selectors, ports, config maps, volumes, accounts.

Knows mistakes that an API server accepts, and then nothing works.
"""

from collections.abc import Iterator
from typing import Any

from tests.deploy.manifests import containers, of_kind, pod_labels, pod_of, selects, title
from tests.deploy.rendering import Manifest


def deployments_select_their_pods(objects: list[Manifest]) -> Iterator[str]:
    """A Deployment's selector is met by its own template."""
    for deployment in of_kind(objects, "Deployment"):
        selector = deployment["spec"]["selector"].get("matchLabels", {})
        if not selector or not selects(selector, pod_labels(deployment)):
            yield f"{title(deployment)}: selector {selector} is not met by the pods {pod_labels(deployment)}"


def selectors_find_something(objects: list[Manifest]) -> Iterator[str]:
    """Services, budgets and policies choose pods that exist, monitors a Service that does, all by label."""
    pods = [pod_labels(one) for one in of_kind(objects, "Deployment")]
    services = [one["metadata"].get("labels", {}) for one in of_kind(objects, "Service")]
    for thing in of_kind(objects, "Service", "PodDisruptionBudget", "NetworkPolicy", "ServiceMonitor"):
        selector = _selector(thing)
        candidates = services if thing["kind"] == "ServiceMonitor" else pods
        if not selector or not any(selects(selector, labels) for labels in candidates):
            yield f"{title(thing)}: selector {selector} finds nothing"


def _selector(thing: Manifest) -> dict[str, str]:
    spec = thing["spec"]
    if thing["kind"] == "Service":
        return dict(spec.get("selector", {}))
    field = "podSelector" if thing["kind"] == "NetworkPolicy" else "selector"
    return dict(spec.get(field, {}).get("matchLabels", {}))


def spread_counts_the_same_pods(objects: list[Manifest]) -> Iterator[str]:
    """Topology spread counts the pods of its own Deployment."""
    for deployment in of_kind(objects, "Deployment"):
        for constraint in pod_of(deployment).get("topologySpreadConstraints", []):
            selector = constraint.get("labelSelector", {}).get("matchLabels", {})
            if not selector or not selects(selector, pod_labels(deployment)):
                yield f"{title(deployment)}: spread over {constraint['topologyKey']} counts {selector}"


def ports_exist(objects: list[Manifest]) -> Iterator[str]:
    """Every port that is named elsewhere is one of the pods, or of the Service."""
    yield from _ports_of_services(objects)
    yield from _ports_of_policies(objects)
    yield from _ports_of_monitors(objects)
    yield from _ports_of_probes(objects)


def _ports_of_services(objects: list[Manifest]) -> Iterator[str]:
    for service in of_kind(objects, "Service"):
        for port in service["spec"]["ports"]:
            target = port.get("targetPort", port["port"])
            if target not in _container_ports(objects):
                yield f"{title(service)}: targetPort {target!r} is no port of the pods"


def _ports_of_policies(objects: list[Manifest]) -> Iterator[str]:
    for policy in of_kind(objects, "NetworkPolicy"):
        for rule in policy["spec"].get("ingress", []):
            for port in rule.get("ports", []):
                if port.get("port") not in _container_ports(objects):
                    yield f"{title(policy)}: port {port.get('port')!r} is no port of the pods"


def _ports_of_monitors(objects: list[Manifest]) -> Iterator[str]:
    served = {port.get("name") for one in of_kind(objects, "Service") for port in one["spec"]["ports"]}
    for monitor in of_kind(objects, "ServiceMonitor"):
        for endpoint in monitor["spec"]["endpoints"]:
            if endpoint.get("port") not in served:
                yield f"{title(monitor)}: port {endpoint.get('port')!r} is no port of the Service"


def _ports_of_probes(objects: list[Manifest]) -> Iterator[str]:
    for deployment in of_kind(objects, "Deployment"):
        for container in containers(deployment):
            for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
                port = container.get(kind, {}).get("httpGet", {}).get("port")
                if port is not None and port not in _container_ports(objects):
                    yield f"{title(deployment)}: {kind} asks port {port!r}, which is no port of the pods"


def _container_ports(objects: list[Manifest]) -> set[Any]:
    """Names and numbers."""
    ports = [
        port
        for deployment in of_kind(objects, "Deployment")
        for container in containers(deployment)
        for port in container.get("ports", [])
    ]
    return {port.get("name") for port in ports} | {port["containerPort"] for port in ports}


def volumes_exist(objects: list[Manifest]) -> Iterator[str]:
    """Every mount has its volume, every volume is mounted, and every claim is one of ours."""
    claims = {one["metadata"]["name"] for one in of_kind(objects, "PersistentVolumeClaim")}
    for deployment in of_kind(objects, "Deployment"):
        volumes = {one["name"]: one for one in pod_of(deployment).get("volumes", [])}
        mounted = {mount["name"] for one in containers(deployment) for mount in one.get("volumeMounts", [])}
        for name in sorted(mounted ^ volumes.keys()):
            yield f"{title(deployment)}: volume {name} is mounted and not there, or there and not mounted"
        for name, volume in volumes.items():
            if len(volume) != 2:
                yield f"{title(deployment)}: volume {name} has {len(volume) - 1} sources"
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            if claim is not None and claim not in claims:
                yield f"{title(deployment)}: claim {claim} is none of ours"


def config_exists(objects: list[Manifest]) -> Iterator[str]:
    """Config maps and accounts are there; a secret, which nobody commits, may be missing without harm."""
    there = {title(one) for one in objects}
    for deployment in of_kind(objects, "Deployment"):
        account = f"ServiceAccount/{pod_of(deployment).get('serviceAccountName')}"
        if account not in there:
            yield f"{title(deployment)}: {account} does not exist"
        for container in containers(deployment):
            for source in container.get("envFrom", []):
                name = f"ConfigMap/{source.get('configMapRef', {}).get('name')}"
                if name not in there:
                    yield f"{title(deployment)}: {name} does not exist"
            for variable in container.get("env", []):
                secret = variable.get("valueFrom", {}).get("secretKeyRef")
                if secret and not secret.get("optional"):
                    yield f"{title(deployment)}: Secret/{secret['name']} must be optional"
