"""The step that verifies a model volume, run as the manifest says: it starts no server on a broken bundle."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.manifests import of_kind, pod_of
from tests.deploy.rendering import ROOT, render

MOUNT = "/models"


def declared_command() -> list[str]:
    """As the container has it."""
    (deployment,) = of_kind(render("cpu", "model-volume"), "Deployment")
    (step,) = pod_of(deployment)["initContainers"]
    assert {"name": "models", "mountPath": MOUNT, "readOnly": True} in step["volumeMounts"]
    command: list[str] = step["command"]
    return command


def verify(models_dir: Path) -> subprocess.CompletedProcess[str]:
    """The declared command, of this checkout, on another folder."""
    program, *options = [str(models_dir) if word == MOUNT else word for word in declared_command()]
    assert program == "verto"
    command = [sys.executable, "-m", "cli.main", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "checkpoints" / "en-de", tmp_path / "models" / "en-de")
    return tmp_path / "models"


def test_whole_bundles_let_the_server_start(models_dir: Path) -> None:
    assert verify(models_dir).returncode == 0


def test_a_flipped_byte_keeps_it_from_starting_and_names_the_file(models_dir: Path) -> None:
    weights = models_dir / "en-de" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    done = verify(models_dir)
    assert done.returncode == 1
    assert "model.safetensors" in done.stdout


def test_a_file_that_is_missing_keeps_it_from_starting(models_dir: Path) -> None:
    (models_dir / "en-de" / "tokenizer.model").unlink()
    done = verify(models_dir)
    assert done.returncode == 1
    assert "tokenizer.model" in done.stdout


def test_an_empty_volume_keeps_it_from_starting(tmp_path: Path) -> None:
    done = verify(tmp_path)
    assert done.returncode == 2
    assert "no bundle found" in done.stderr


def test_the_step_runs_the_image_of_the_server_on_every_overlay() -> None:
    for overlay in ("cpu", "gpu", "dev"):
        (deployment,) = of_kind(render(overlay, "model-image"), "Deployment")
        pod = pod_of(deployment)
        assert pod["initContainers"][0]["image"] == pod["containers"][0]["image"]
