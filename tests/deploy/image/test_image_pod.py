"""The project's own Deployment with the project's own image, run as a pod: what is declared is what happens.

Left out is what only a cluster can do: probes (the test asks their addresses itself), spreading, replicas.
"""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.image.containers import Containers
from tests.deploy.image.server import ContainedServer, free_port, status_of
from tests.deploy.manifests import servers
from tests.deploy.rendering import render

pytestmark = [pytest.mark.image, pytest.mark.slow]

OVERLAY, NAME = "cpu", "verto"
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def declared() -> dict[str, Any]:
    """The container of the Deployment."""
    ((_, container),) = servers(render(OVERLAY))
    return container


def as_pod(image: str, port: int) -> str:
    """The objects that podman knows, with this image, on the host's network at this port."""
    objects = [deepcopy(one) for one in render(OVERLAY) if one["kind"] in ("ConfigMap", "Deployment")]
    (deployment,) = [one for one in objects if one["kind"] == "Deployment"]
    deployment["spec"]["replicas"] = 1
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    del pod["topologySpreadConstraints"]
    for name in (*PROBES, "lifecycle", "ports"):
        del container[name]
    pod["hostNetwork"] = True
    container["image"] = image
    container["env"] = [*container.get("env", []), {"name": "VERTO_PORT", "value": str(port)}]
    return yaml.safe_dump_all(objects)


@pytest.fixture(scope="module")
def server(
    containers: Containers, image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ContainedServer]:
    port = free_port()
    manifest: Path = tmp_path_factory.mktemp("pod") / "pod.yaml"
    manifest.write_text(as_pod(image, port))
    with containers.pod(manifest, NAME) as container:
        started = ContainedServer(containers, container, port)
        started.wait_until(
            lambda: started.get(declared()[PROBES[0]]["httpGet"]["path"])[0] == 200, "did not start"
        )
        yield started


def test_the_declared_probes_are_answered(server: ContainedServer) -> None:
    asked = [declared()[probe]["httpGet"]["path"] for probe in PROBES]
    assert [server.get(path)[0] for path in asked] == [200, 200, 200]


def test_the_declared_pod_translates_with_native_kernels(server: ContainedServer) -> None:
    assert server.translate("Good morning, my friends.") == "Guten Morgen, meine Freunde."
    assert server.logged("model loaded")["path"] == "native"


def test_the_declared_rights_and_limits_hold(server: ContainedServer) -> None:
    limits = server.containers.inspect(server.container)["HostConfig"]
    assert limits["Memory"] == 3 * 2**30
    assert limits["NanoCpus"] == 2 * 10**9
    assert limits["ReadonlyRootfs"] is True
    status = status_of(server.state["Pid"])
    assert set(status["Uid"].split()) == {"10001"}
    assert (int(status["CapEff"], 16), status["NoNewPrivs"]) == (0, "1")


def test_the_end_comes_after_the_declared_delay_and_in_order(server: ContainedServer) -> None:
    server.containers.podman("stop", "--time=60", server.container)
    assert server.state["ExitCode"] == 0
    assert server.logged("leaving; a second signal stops at once")["drain_delay_seconds"] == 10
