"""Who reaches the pods under the network policies, and whom they reach, by the rules of Kubernetes."""

from functools import cache
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.deploy.manifests import environment, of_kind, selects, servers
from tests.deploy.rendering import render

COLLECTOR = {"app.kubernetes.io/name": "opentelemetry-collector"}
NAMES = {"k8s-app": "kube-dns"}


@cache
def rules(way: str, *components: str) -> list[dict[str, Any]]:
    """Of all policies together, as they add up; each is for our pods, which a rule of ours checks."""
    policies = of_kind(render("cpu", *components), "NetworkPolicy")
    return [rule for one in policies for rule in one["spec"].get(way, [])]


def matches(selector: dict[str, Any] | None, labels: dict[str, str]) -> bool:
    """A label selector; none matches everything, as an empty one does."""
    selector = selector or {}
    expressions = selector.get("matchExpressions", [])
    assert all(one["operator"] == "In" for one in expressions)
    return selects(selector.get("matchLabels", {}), labels) and all(
        labels.get(one["key"]) in one["values"] for one in expressions
    )


def is_peer(peer: dict[str, Any], namespace: str, pod: dict[str, str]) -> bool:
    """Whether a pod of a namespace is meant. A peer without namespaceSelector is of our own namespace."""
    labels = {"kubernetes.io/metadata.name": namespace}
    its_own = {"matchLabels": {"kubernetes.io/metadata.name": "verto"}}
    return matches(peer.get("namespaceSelector", its_own), labels) and matches(peer.get("podSelector"), pod)


def may_come_in(namespace: str, pod: dict[str, str], port: str = "http") -> bool:
    """Whether a pod of a namespace reaches a port of ours."""
    return any(
        is_peer(peer, namespace, pod)
        for rule in rules("ingress", "networkpolicy", "tracing")
        if port in [one["port"] for one in rule["ports"]]
        for peer in rule["from"]
    )


def may_go_out(namespace: str, pod: dict[str, str], port: int, *components: str) -> bool:
    """Whether our pods reach a port of a pod of a namespace."""
    return any(
        is_peer(peer, namespace, pod)
        for rule in rules("egress", *components)
        if port in [one["port"] for one in rule["ports"]]
        for peer in rule["to"]
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
        ("observability", COLLECTOR),
        ("shop", {"verto-client": "false"}),
    ],
)
def test_nobody_else_comes_in(namespace: str, pod: dict[str, str]) -> None:
    assert not may_come_in(namespace, pod)


def test_nothing_goes_out() -> None:
    (policy,) = of_kind(render("cpu", "networkpolicy"), "NetworkPolicy")
    assert policy["spec"]["egress"] == []
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]


@pytest.mark.parametrize(
    ("namespace", "pod", "port"),
    [("observability", COLLECTOR, 4318), ("kube-system", NAMES, 53)],
    ids=["collector", "names"],
)
def test_traces_open_the_way_to_the_collector_and_to_names(
    namespace: str, pod: dict[str, str], port: int
) -> None:
    assert may_go_out(namespace, pod, port, "networkpolicy", "tracing")
    assert not may_go_out(namespace, pod, port, "networkpolicy")
    assert not may_go_out(namespace, pod, 443, "networkpolicy", "tracing")
    assert not may_go_out("shop", pod, port, "networkpolicy", "tracing")
    assert not may_go_out(namespace, {}, port, "networkpolicy", "tracing")


def test_traces_alone_close_no_way_in() -> None:
    (policy,) = of_kind(render("cpu", "tracing"), "NetworkPolicy")
    assert policy["spec"]["policyTypes"] == ["Egress"]


def test_the_collector_of_the_settings_is_the_one_that_is_let_out_to() -> None:
    objects = render("cpu", "tracing")
    ((_, container),) = servers(objects)
    address = urlsplit(environment(objects, container)["VERTO_TRACES_ENDPOINT"])
    name, namespace, *_ = str(address.hostname).split(".")
    assert may_go_out(namespace, {"app.kubernetes.io/name": name}, address.port or 0, "tracing")
