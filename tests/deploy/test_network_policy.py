"""Who reaches the pods under the network policy, and whom they reach, by the rules of Kubernetes."""

from typing import Any

import pytest

from tests.deploy.manifests import of_kind, selects
from tests.deploy.rendering import render


def policy() -> dict[str, Any]:
    (found,) = of_kind(render("cpu", "networkpolicy"), "NetworkPolicy")
    spec: dict[str, Any] = found["spec"]
    return spec


def matches(selector: dict[str, Any] | None, labels: dict[str, str]) -> bool:
    """A label selector; none matches everything, as an empty one does."""
    selector = selector or {}
    expressions = selector.get("matchExpressions", [])
    assert all(one["operator"] == "In" for one in expressions)
    return selects(selector.get("matchLabels", {}), labels) and all(
        labels.get(one["key"]) in one["values"] for one in expressions
    )


def may_come_in(namespace: str, pod: dict[str, str], port: str = "http") -> bool:
    """Whether a pod of a namespace reaches a port of ours. A peer without namespaceSelector is of our own."""
    labels = {"kubernetes.io/metadata.name": namespace}
    return any(
        matches(peer.get("podSelector"), pod)
        and (
            matches(peer["namespaceSelector"], labels)
            if "namespaceSelector" in peer
            else namespace == "verto"
        )
        for rule in policy()["ingress"]
        if port in [one["port"] for one in rule["ports"]]
        for peer in rule["from"]
    )


@pytest.mark.parametrize(
    ("namespace", "pod"),
    [
        ("ingress-nginx", {"app.kubernetes.io/name": "ingress-nginx"}),
        ("gateway-system", {}),
        ("monitoring", {"app.kubernetes.io/name": "prometheus"}),
        ("shop", {"verto-client": "true"}),
        ("verto", {"verto-client": "true"}),
    ],
)
def test_those_who_are_named_come_in(namespace: str, pod: dict[str, str]) -> None:
    assert may_come_in(namespace, pod)
    assert not may_come_in(namespace, pod, "ssh")


@pytest.mark.parametrize(
    ("namespace", "pod"),
    [
        ("shop", {}),
        ("verto", {}),
        ("verto", {"app.kubernetes.io/name": "verto"}),
        ("monitoring", {"app.kubernetes.io/name": "grafana"}),
        ("shop", {"app.kubernetes.io/name": "prometheus"}),
        ("shop", {"verto-client": "false"}),
    ],
)
def test_nobody_else_comes_in(namespace: str, pod: dict[str, str]) -> None:
    assert not may_come_in(namespace, pod)


def test_nothing_goes_out() -> None:
    assert policy()["egress"] == []
    assert policy()["policyTypes"] == ["Ingress", "Egress"]
