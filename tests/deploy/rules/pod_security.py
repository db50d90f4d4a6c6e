"""The Pod Security Standards' level "restricted", rule by rule, and what we ask beyond it.

Source: Kubernetes, Pod Security Standards.
"""

from collections.abc import Iterator
from typing import Any

from tests.deploy.manifests import containers, of_kind, pod_of, title, workloads
from tests.deploy.rendering import Manifest

# `image` since Kubernetes 1.33, though the page does not list it: kubernetes/kubernetes pull request 130394.
_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
_PROFILES = ("RuntimeDefault", "Localhost")
_USER = 10001  # the image's


def pods_are_restricted(objects: list[Manifest]) -> Iterator[str]:
    """Every pod passes the level "restricted"."""
    for workload in workloads(objects):
        pod = pod_of(workload)
        for fault in (*_host(pod), *_volumes(pod)):
            yield f"{title(workload)}: {fault}"
        for container in containers(workload):
            for fault in _container(pod, container):
                yield f"{title(workload)}: container {container['name']}: {fault}"


def _host(pod: dict[str, Any]) -> Iterator[str]:
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field):
            yield f"{field} is on"
    if pod.get("securityContext", {}).get("sysctls"):
        yield "sysctls are set"


def _volumes(pod: dict[str, Any]) -> Iterator[str]:
    for volume in pod.get("volumes", []):
        for kind in volume.keys() - {"name"} - _VOLUMES:
            yield f"volume {volume['name']} is a {kind}"


def _container(pod: dict[str, Any], container: dict[str, Any]) -> Iterator[str]:
    own = container.get("securityContext", {})
    context = pod.get("securityContext", {}) | own
    if context.get("runAsNonRoot") is not True:
        yield "runAsNonRoot is not true"
    if context.get("runAsUser") != _USER:
        yield f"runAsUser is {context.get('runAsUser')}, not {_USER}"
    if context.get("seccompProfile", {}).get("type") not in _PROFILES:
        yield "no seccompProfile"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    if own.get("privileged"):
        yield "privileged"
    yield from _capabilities(own)
    if own.get("procMount", "Default") != "Default":
        yield "procMount is set"
    if any("hostPort" in port for port in container.get("ports", [])):
        yield "a hostPort"


def _capabilities(context: dict[str, Any]) -> Iterator[str]:
    capabilities = context.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", []):
        yield "capabilities are not dropped"
    if set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield f"capabilities are added: {capabilities['add']}"


def pods_are_closed(objects: list[Manifest]) -> Iterator[str]:
    """Beyond "restricted": nothing may be written but a bounded /tmp, no token, no variables of Services."""
    for deployment in of_kind(objects, "Deployment"):
        pod = pod_of(deployment)
        if pod.get("automountServiceAccountToken") is not False:
            yield f"{title(deployment)}: automountServiceAccountToken is not false"
        if pod.get("enableServiceLinks") is not False:
            yield f"{title(deployment)}: enableServiceLinks is not false"
        for volume in pod.get("volumes", []):
            if "emptyDir" in volume and "sizeLimit" not in (volume["emptyDir"] or {}):
                yield f"{title(deployment)}: volume {volume['name']} has no sizeLimit"
        for container in containers(deployment):
            yield from (f"{title(deployment)}: {fault}" for fault in _writable(pod, container))
    for account in of_kind(objects, "ServiceAccount"):
        if account.get("automountServiceAccountToken") is not False:
            yield f"{title(account)}: automountServiceAccountToken is not false"


def _writable(pod: dict[str, Any], container: dict[str, Any]) -> Iterator[str]:
    name = container["name"]
    if container.get("securityContext", {}).get("readOnlyRootFilesystem") is not True:
        yield f"container {name}: readOnlyRootFilesystem is not true"
    empty = {one["name"] for one in pod.get("volumes", []) if "emptyDir" in one}
    mounts = container.get("volumeMounts", [])
    if not any(mount["mountPath"] == "/tmp" and mount["name"] in empty for mount in mounts):
        yield f"container {name}: nothing to write to at /tmp"
    for mount in mounts:
        if mount["name"] not in empty and not mount.get("readOnly"):
            yield f"container {name}: {mount['mountPath']} may be written"
