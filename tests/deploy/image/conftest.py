"""One image for all tests of this folder, built as a user builds it; where it cannot be, they are skipped.

A build takes minutes, most of them for packages. While working on the image, IMAGE_TEST_STORAGE=FOLDER keeps
its layers from one run to the next.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.image.base_image import add_base, mounts_of_this_machine
from tests.deploy.image.containers import Containers, missing

ROOT = Path(__file__).resolve().parents[3]
TAG = "localhost/verto:test"
CONTEXT = (
    "Dockerfile", ".dockerignore", "requirements.lock", "pyproject.toml", "README.md", "LICENSE",
    "scripts", "model", "service", "cli", "checkpoints",
)  # fmt: skip


@pytest.fixture(scope="session")
def containers() -> Iterator[Containers]:
    """A storage of images and containers, empty unless it is kept."""
    if reason := missing():
        pytest.skip(f"no containers: {reason}")
    if kept := os.environ.get("IMAGE_TEST_STORAGE"):
        yield Containers(Path(kept))
        return
    # Not pytest's own folder: that one is kept for some runs, and these are gigabytes.
    storage = Containers(Path(tempfile.mkdtemp(prefix="verto-image-")))
    try:
        yield storage
    finally:
        storage.remove_all()


@pytest.fixture(scope="session")
def base(containers: Containers) -> str:
    """The tag of what stands in for Docker's Python image."""
    return add_base(containers)


@pytest.fixture(scope="session")
def mounts(containers: Containers) -> list[str]:
    """What a build sees of this machine."""
    return list(mounts_of_this_machine(containers.folder))


@pytest.fixture(scope="session")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an image is built from, as someone has it whose umask lets nobody else read anything."""
    folder = tmp_path_factory.mktemp("context")
    for name in CONTEXT:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / name, folder / name)
    subprocess.run(["chmod", "-R", "go=", str(folder)], check=True)
    return folder


@pytest.fixture(scope="session")
def image(containers: Containers, context: Path, base: str, mounts: list[str]) -> str:
    """The tag of the image that the Dockerfile describes."""
    try:
        containers.build(context, TAG, {"PYTHON_IMAGE": base, "REVISION": "abc123"}, mounts)
    except AssertionError as error:
        if "VARIANT=cpu, but torch" in str(error):
            pytest.skip("no image: the package source of this machine has no CPU build of torch")
        raise
    return TAG
