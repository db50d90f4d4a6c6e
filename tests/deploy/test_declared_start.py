"""A server that is told what the manifests tell it starts, answers the declared probes, and ends well."""

import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.deploy.manifests import environment, servers
from tests.deploy.rendering import ROOT, render
from tests.server_process import Server, serve

# Folders of the image, which this machine does not have.
FOLDERS = {"VERTO_MODELS_DIR": "/app/checkpoints", "VERTO_CACHE_DIR": "/var/cache/verto"}
OVERLAY = "cpu"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """With all variables of the container but its folders."""
    objects = render(OVERLAY)
    ((_, container),) = servers(objects)
    declared = environment(objects, container)
    assert FOLDERS.items() <= declared.items()
    here = {"VERTO_MODELS_DIR": str(ROOT / "checkpoints"), "VERTO_CACHE_DIR": str(tmp_path / "cache")}
    for name, value in (declared | here).items():
        monkeypatch.setenv(name, value)
    with serve() as started:
        yield started


def test_the_declared_environment_starts_a_server_that_answers_its_probes(server: Server) -> None:
    port = str(server.wait_for_line("ready")["url"]).rpartition(":")[2]
    ((_, container),) = servers(render(OVERLAY))
    asked = [
        container[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")
    ]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        assert [client.get(path).status_code for path in asked] == [200, 200, 200]
        answer = client.post("/v1/translate", json={"text": "Good morning!", "source": "en", "target": "de"})
    assert answer.json()["translations"][0]["text"]
    server.process.send_signal(signal.SIGINT)
    assert server.end() == 0
