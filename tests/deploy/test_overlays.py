"""Every overlay, alone and with each component, renders to objects that no rule finds fault with."""

import itertools
from typing import Any

import pytest
import yaml

from tests.deploy.checks import faults
from tests.deploy.manifests import environment, of_kind, pod_of, servers
from tests.deploy.rendering import COMPONENTS, OVERLAYS, render

# Two ways of doing one thing.
_ALTERNATIVES = [{"hpa", "keda"}, {"model-volume", "model-image"}]


def together() -> list[tuple[str, ...]]:
    """All components at once, once for each choice of alternatives."""
    single = sorted(set(COMPONENTS).difference(*_ALTERNATIVES))
    return [(*single, *choice) for choice in itertools.product(*map(sorted, _ALTERNATIVES))]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_has_no_fault(overlay: str) -> None:
    assert faults(render(overlay)) == []


@pytest.mark.parametrize("component", COMPONENTS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_component_has_no_fault_on_any_overlay(overlay: str, component: str) -> None:
    objects = render(overlay, component)
    assert objects != render(overlay), "the component changes nothing"
    assert faults(objects) == []


@pytest.mark.parametrize("components", together(), ids="+".join)
def test_components_have_no_fault_together(components: tuple[str, ...]) -> None:
    assert faults(render("cpu", *components)) == []


def test_the_order_of_components_does_not_matter() -> None:
    components = together()[0]
    assert _by_name(render("gpu", *components)) == _by_name(render("gpu", *reversed(components)))


def _by_name(objects: list[dict[str, Any]]) -> dict[tuple[str, str], str]:
    return {(one["kind"], one["metadata"]["name"]): yaml.safe_dump(one) for one in objects}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_overlay_names_its_device(overlay: str) -> None:
    objects = render(overlay)
    devices = {environment(objects, container)["VERTO_DEVICE"] for _, container in servers(objects)}
    assert devices == {"cuda" if overlay == "gpu" else "cpu"}


def test_each_replica_on_gpus_has_one_of_its_own() -> None:
    ((deployment, container),) = servers(render("gpu"))
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert container["image"].endswith("-cuda")
    assert pod_of(deployment)["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in pod_of(deployment)[
        "tolerations"
    ]


def test_the_development_overlay_is_small_and_open_at_a_port_of_the_node() -> None:
    objects = render("dev")
    ((deployment, container),) = servers(objects)
    ((ordinary, _),) = servers(render("cpu"))
    assert deployment["spec"]["replicas"] == 1 < ordinary["spec"]["replicas"]
    assert container["imagePullPolicy"] == "IfNotPresent"
    (service,) = of_kind(objects, "Service")
    assert service["spec"]["type"] == "NodePort"
    (port,) = service["spec"]["ports"]
    assert (port["nodePort"], port["targetPort"]) == (30800, "http")


def test_a_changed_setting_is_a_new_revision() -> None:
    names = {one["metadata"]["name"] for overlay in OVERLAYS for one in of_kind(render(overlay), "ConfigMap")}
    assert len(names) == len(OVERLAYS)


def test_both_autoscalers_behave_alike() -> None:
    (hpa,) = of_kind(render("cpu", "hpa"), "HorizontalPodAutoscaler")
    (keda,) = of_kind(render("cpu", "keda"), "ScaledObject")
    spec = keda["spec"]
    assert spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"] == hpa["spec"]["behavior"]
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (
        hpa["spec"]["minReplicas"],
        hpa["spec"]["maxReplicas"],
    )
    threshold = hpa["spec"]["metrics"][0]["pods"]["target"]["averageValue"]
    assert spec["triggers"][0]["metadata"]["threshold"] == threshold
